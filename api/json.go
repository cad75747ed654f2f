package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
)

// maxDepth bounds the nesting of a body.
const maxDepth = 64

const jsonUTF8 = "application/json; charset=utf-8"

var jsonFormat = huma.Format{Marshal: encode, Unmarshal: decode}

// appender is an answer that is written often, and writes itself as json.Encoder would.
type appender interface{ appendJSON(b []byte) []byte }

// maxAnswerBuffer bounds the memory that is kept for the next answer, in bytes.
const maxAnswerBuffer = 64 << 10

var answerBuffers = sync.Pool{New: func() any { return new([]byte) }}

func encode(w io.Writer, v any) error {
	if a, is := v.(appender); is {
		buffer := answerBuffers.Get().(*[]byte) //nolint:forcetypeassert // nothing else is in it
		*buffer = append(a.appendJSON((*buffer)[:0]), '\n')
		_, err := w.Write(*buffer)
		if cap(*buffer) <= maxAnswerBuffer {
			answerBuffers.Put(buffer)
		}
		return err //nolint:wrapcheck // nothing to add
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// decode is called twice a body: into *any, for validation, and into the handler's
// type. Its errors reach the client, so they name no Go types.
func decode(data []byte, v any) error {
	loose, first := v.(*any)
	if first {
		if !utf8.Valid(data) {
			return errors.New("the body is not UTF-8")
		}
		if deeper(data, maxDepth) {
			return fmt.Errorf("the body is nested deeper than %d", maxDepth)
		}
	}
	err := json.Unmarshal(data, v)
	var typeErr *json.UnmarshalTypeError
	if first && errors.As(err, &typeErr) { // a number beyond float64: JSON, but of no use
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		err = d.Decode(loose)
	}
	var syntaxErr *json.SyntaxError
	switch {
	case errors.As(err, &typeErr):
		return fmt.Errorf("%s: a JSON %s does not fit here", typeErr.Field, typeErr.Value)
	case errors.As(err, &syntaxErr):
		return fmt.Errorf("the body is not JSON: %s, at byte %d", syntaxErr.Error(), syntaxErr.Offset)
	}
	return err // of an UnmarshalText of package model; its text is for the client
}

// deeper says whether data nests its arrays and objects deeper than limit.
func deeper(data []byte, limit int) bool {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// finished is called with every answer that huma is about to write.
func finished(ctx huma.Context, _ string, v any) (any, error) {
	if p, is := v.(*Problem); is {
		copied := *p
		copied.finish(humagin.Unwrap(ctx))
		return &copied, nil
	}
	ctx.SetHeader("Content-Type", jsonUTF8)
	return v, nil
}
