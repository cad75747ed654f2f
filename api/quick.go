package api

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
)

// quickBody bounds the bodies that quick reads, in bytes.
const quickBody = 8 << 10

var quickBuffers = sync.Pool{New: func() any { return new([quickBody]byte) }}

// quickInput and quickOutput are what a call needs for quick.
type (
	quickInput[I any] interface {
		*I
		readPlain(ctx huma.Context, body []byte) bool
	}
	quickOutput[O any] interface {
		*O
		plain() (status int, body appender)
	}
)

// quick serves the requests of a hot call that are plain; huma would spend more time on them than
// the service does. Every other one goes on to huma as it came, so that what is wrong with
// a request is said in one place, and what a call looks like as well.
func quick[I, O any, PI quickInput[I], PO quickOutput[O]](a *API, call handlerOf[I, O]) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		input := new(I)
		if !a.readQuick(ctx, PI(input).readPlain) {
			next(ctx)
			return
		}
		output, err := call(ctx.Context(), input)
		if err != nil {
			a.refuse(ctx, err)
			return
		}
		status, body := PO(output).plain()
		ctx.SetHeader("Content-Type", jsonUTF8)
		ctx.SetStatus(status)
		if err := encode(ctx.BodyWriter(), body); err != nil {
			a.log.Debug("client left before its answer", "error", err)
		}
	}
}

// readQuick reads a plain body. After anything else the request has its body as before.
func (a *API) readQuick(ctx huma.Context, readPlain func(ctx huma.Context, body []byte) bool) bool {
	r := humagin.Unwrap(ctx).Request
	if r.ContentLength <= 0 || r.ContentLength > quickBody || r.URL.RawQuery != "" || !plainJSONType(r.Header.Get("Content-Type")) {
		return false
	}
	buffer := quickBuffers.Get().(*[quickBody]byte) //nolint:forcetypeassert // nothing else is in it
	defer quickBuffers.Put(buffer)
	n, err := io.ReadFull(r.Body, buffer[:r.ContentLength])
	if err != nil || !readPlain(ctx, buffer[:n]) {
		var rest io.Reader = r.Body
		if err != nil {
			rest = broken{err}
		}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(bytes.Clone(buffer[:n])), rest), r.Body}
		return false
	}
	if err := ctx.SetReadDeadline(time.Time{}); err != nil { // guarded has set it, for the body
		a.log.Debug("read deadline of a body", "error", err)
	}
	return true
}

// broken is what is left of a body that broke off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
