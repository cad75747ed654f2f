package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"ackbox/model"
)

type handlerOf[I, O any] = func(context.Context, *I) (*O, error)

const requestIDHeader = "X-Request-Id"

// requestNames makes names for requests that came without one: a random prefix a
// process and a number.
type requestNames struct {
	prefix string
	count  *atomic.Uint64
}

func newRequestNames() requestNames {
	raw := make([]byte, 6)
	rand.Read(raw)
	return requestNames{prefix: hex.EncodeToString(raw) + "-", count: &atomic.Uint64{}}
}

func (r requestNames) next() string { return r.prefix + strconv.FormatUint(r.count.Add(1), 36) }

// named gives the request its name, the client's own if that is a plain one, and
// answers with it. What may be kept by a cache says so itself: the rest is somebody's.
func (a *API) named(c *gin.Context) {
	name := c.GetHeader(requestIDHeader)
	if !plainName(name) {
		name = a.request.next()
	}
	c.Writer.Header().Set(requestIDHeader, name)
	c.Writer.Header().Set("X-Content-Type-Options", "nosniff")
	c.Writer.Header().Set("Cache-Control", "no-store")
}

func requestID(c *gin.Context) string { return c.Writer.Header().Get(requestIDHeader) }

// plainName says whether s is 1 to 64 of A-Z a-z 0-9 . _ -
func plainName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// logged writes a line a request at debug, and one with the cause at warn or error
// for 5xx. Bodies, headers and queries are never in it: they carry secrets.
func (a *API) logged(c *gin.Context) {
	start := time.Now()
	c.Next()
	status, level := c.Writer.Status(), slog.LevelDebug
	switch {
	case len(c.Errors) > 0 && errors.Is(c.Errors[0], context.Canceled): // the client is gone
	case c.GetBool(turnedAway): // counted; a storm would fill the log
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case status >= http.StatusInternalServerError || len(c.Errors) > 0:
		level = slog.LevelError
	}
	ctx := c.Request.Context()
	if !a.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", c.Request.Method), slog.String("path", c.Request.URL.Path), slog.Int("status", status),
		slog.Duration("took", time.Since(start)), slog.String("request_id", requestID(c)), slog.String("client", c.ClientIP()),
	}
	if len(c.Errors) > 0 {
		attrs = append(attrs, slog.Any("error", c.Errors[0].Err))
	}
	a.log.LogAttrs(ctx, level, "request", attrs...)
}

// recovered answers a panic with 500. http.ErrAbortHandler keeps its meaning.
func (a *API) recovered(c *gin.Context) {
	defer func() {
		switch r := recover(); {
		case r == nil:
		case r == http.ErrAbortHandler: //nolint:errorlint // a sentinel in a panic, not an error chain
			panic(r)
		case c.Writer.Written():
			c.Errors = append(c.Errors, &gin.Error{Err: fmt.Errorf("panic after the answer had begun: %v\n%s", r, debug.Stack()), Type: gin.ErrorTypePrivate})
			c.Abort()
		default:
			a.fail(c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	c.Next()
}

// guarded bounds how long a body may take, also one that nobody reads: without a deadline the server
// would wait for the rest of it for ever, after its answer. Of several Authorization headers none
// counts: a proxy may have looked at another one than we would.
func (a *API) guarded(c *gin.Context) {
	if len(c.Request.Header.Values("Authorization")) > 1 {
		c.Request.Header.Del("Authorization")
	}
	if c.Request.ContentLength == 0 {
		return
	}
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		a.log.Debug("read deadline of a body", "error", err)
	}
	body := c.Request.Body
	c.Next()
	if c.Writer.Status() == http.StatusRequestEntityTooLarge {
		a.swallow(c, body)
	}
}

// swallow takes what still comes of a body that has been refused for its size, up to a bound: the
// server would close the connection on it, and a client that sends all before it reads would see a
// broken pipe and not the answer. Who waits for 100 Continue sends nothing more.
func (a *API) swallow(c *gin.Context, body io.Reader) {
	if c.Request.ProtoMajor != 1 || c.Request.ContentLength > maxSwallowed || c.GetHeader("Expect") != "" {
		return
	}
	c.Writer.Flush()
	control := http.NewResponseController(c.Writer)
	if err := control.SetReadDeadline(time.Now().Add(swallowTimeout)); err != nil {
		return // not a connection
	}
	if n, err := io.CopyN(io.Discard, body, maxSwallowed); err != nil && !errors.Is(err, io.EOF) {
		a.log.Debug("the rest of a body that was refused", "bytes", n, "error", err)
	}
}

func (a *API) noRoute(c *gin.Context) {
	a.fail(c, model.NewError(model.CodeNotFound, "there is nothing at this path"))
}

func (a *API) noMethod(c *gin.Context) {
	a.fail(c, model.NewError(model.CodeMethodNotAllowed, "this path does not know %s", c.Request.Method))
}

// crossOrigin lets the pages of allowed origins call: a page that has no token can do nothing. The only cookie
// is an operator's, which no page of another origin may use (see sameOrigin).
func (a *API) crossOrigin(c *gin.Context) {
	origin := c.GetHeader("Origin")
	if origin == "" {
		return
	}
	preflight := c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != ""
	h := c.Writer.Header()
	h.Add("Vary", "Origin")
	if !a.originAllowed(c.Request) {
		if preflight {
			a.fail(c, model.NewError(model.CodeOriginNotAllowed, "this origin is not in ACKBOX_ALLOWED_ORIGINS"))
		}
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Content-Disposition, ETag")
	if preflight {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-Request-Id, Range, If-None-Match, If-Range")
		h.Set("Access-Control-Max-Age", "600")
		c.AbortWithStatus(http.StatusNoContent)
	}
}

func originSet(list []string) map[string]bool {
	set := map[string]bool{}
	for _, origin := range list {
		set[strings.ToLower(strings.TrimSuffix(origin, "/"))] = true
	}
	return set
}

// originAllowed says whether the request comes from no browser, from a page of this
// server, or from one of an allowed origin.
func (a *API) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if a.origins[strings.ToLower(origin)] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// wellFormed refuses, before a byte is read, what is too large or no JSON.
func (a *API) wellFormed(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
		next(ctx)
		return
	}
	r := humagin.Unwrap(ctx).Request
	if !jsonType(r.Header.Get("Content-Type")) {
		a.refuse(ctx, model.NewError(model.CodeUnsupportedMediaType, "the content type must be application/json"))
		return
	}
	if encoding := r.Header.Values("Content-Encoding"); len(encoding) != 0 && (len(encoding) > 1 || !strings.EqualFold(encoding[0], "identity")) {
		a.refuse(ctx, model.NewError(model.CodeUnsupportedMediaType, "the body must not be compressed"))
		return
	}
	if r.ContentLength >= op.MaxBodyBytes {
		a.refuse(ctx, model.NewError(model.CodeBodyTooLarge, "the body may have %d bytes", op.MaxBodyBytes-1))
		return
	}
	// In a copy of the request: the server looks at its own one's body to learn whether it was read to its
	// end. Of what it does not know it takes the rest for the next request.
	mine := r.WithContext(r.Context())
	mine.Body = &incoming{r.Body}
	humagin.Unwrap(ctx).Request = mine
	next(ctx)
}

// jsonType says whether a Content-Type is JSON in UTF-8; none counts as JSON.
func jsonType(contentType string) bool {
	if plainJSONType(contentType) {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// plainJSONType says whether a Content-Type is none or the usual one.
func plainJSONType(contentType string) bool {
	return contentType == "" || contentType == "application/json" || contentType == jsonUTF8
}

// incoming is a request's body; that it breaks off is the client's fault.
type incoming struct{ io.ReadCloser }

func (b *incoming) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = model.NewError(model.CodeInvalidJSON, "the body did not arrive as a whole")
	}
	return n, err
}
