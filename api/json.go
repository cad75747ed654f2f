package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"unicode/utf16"
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
		if at := halfCharacter(data); at >= 0 {
			return fmt.Errorf("the body has half a character, at byte %d", at)
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
	if first && err == nil {
		at, err := namedTwice(data)
		if err == nil && at >= 0 {
			err = fmt.Errorf("the body names a field for the second time at byte %d", at)
		}
		return err
	}
	return err // of an UnmarshalText of package model; its text is for the client
}

// halfCharacter is where an escape names one half of a surrogate pair without the other, which no
// text in UTF-8 can hold; -1: nowhere. encoding/json would put U+FFFD there.
func halfCharacter(data []byte) int {
	for at := 0; at < len(data); {
		next := bytes.IndexByte(data[at:], '\\')
		if next < 0 {
			break
		}
		at += next
		switch r := escaped(data[at:]); {
		case r < 0:
			at += 2
		case !utf16.IsSurrogate(r):
			at += 6
		case utf16.DecodeRune(r, escaped(data[at+6:])) == utf8.RuneError:
			return at
		default:
			at += 12
		}
	}
	return -1
}

// escaped is the UTF-16 unit that b begins with as an escape of \u and four digits, else -1.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// namedTwice is where valid JSON has a member of the request for the second time; -1: nowhere. Which
// of them counts is not for the server to guess. What is in free objects is the client's own.
func namedTwice(data []byte) (int, error) {
	rest := bytes.TrimLeft(data, jsonSpace)
	if rest[0] != '{' {
		return -1, nil
	}
	seen := map[string]bool{}
	for rest = bytes.TrimLeft(rest[1:], jsonSpace); rest[0] != '}'; rest = nextItem(rest) {
		at := len(data) - len(rest)
		var raw []byte
		var name string
		raw, rest = nextValue(rest)
		if err := json.Unmarshal(raw, &name); err != nil {
			return at, fmt.Errorf("the name at byte %d: %w", at, err)
		}
		if seen[name] {
			return at, nil
		}
		seen[name] = true
		_, rest = nextValue(bytes.TrimLeft(rest, jsonSpace)[1:]) // behind the colon
	}
	return -1, nil
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
