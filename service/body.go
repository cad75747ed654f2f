package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"ackbox/model"
)

// Bounds of what users send.
const (
	// MaxContent bounds body and ext together, in bytes of canonical JSON.
	MaxContent = 64 << 10
	// MaxText bounds a text in characters (Unicode code points).
	MaxText = 10_000
	// maxDepth bounds the nesting of body and ext: deeper than people build and far
	// below what a client's parser takes.
	maxDepth = 32
)

// content checks body and ext by the rules of a type and answers them in canonical
// form: keys sorted, no spaces, so that the same content always has the same hash.
func content(kind model.MessageType, body, ext model.JSON) (canonicalBody, canonicalExt model.JSON, err error) {
	if len(body)+len(ext) > 4*MaxContent { // before parsing; the exact bound is below
		return "", "", model.Invalid("body.body", "body and ext together are at most 64 KiB", nil)
	}
	if kind == model.TypeText && (ext == "" || ext == "{}") && plainText(string(body)) {
		return body, "{}", nil
	}
	fields, err := object("body.body", body)
	if err != nil {
		return "", "", err
	}
	if err := checkBody(kind, fields); err != nil {
		return "", "", err
	}
	if canonicalBody, err = canonical(fields); err != nil {
		return "", "", err
	}
	if ext != "" && ext != "{}" {
		extra, err := object("body.ext", ext)
		if err != nil {
			return "", "", err
		}
		if canonicalExt, err = canonical(extra); err != nil {
			return "", "", err
		}
	}
	if canonicalExt == "" {
		canonicalExt = "{}"
	}
	if len(canonicalBody)+len(canonicalExt) > MaxContent {
		return "", "", model.Invalid("body.body", "body and ext together are at most 64 KiB", nil)
	}
	return canonicalBody, canonicalExt, nil
}

// plainText says whether body is that of a text by the rules below, and canonical already: what
// browsers make nearly always is. It saves three passes over what most messages are.
func plainText(body string) bool {
	text, begins := strings.CutPrefix(body, `{"text":"`)
	text, ends := strings.CutSuffix(text, `"}`)
	if !begins || !ends {
		return false
	}
	count, visible := 0, false
	for i := 0; i < len(text); count++ {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case r < ' ', r == '"', r == '\u2028', r == '\u2029', r == utf8.RuneError:
			return false
		case r == '\\':
			if i == len(text) || strings.IndexByte(`"\bfnrt`, text[i]) < 0 {
				return false
			}
			visible = visible || text[i] == '"' || text[i] == '\\'
			i++
		default:
			visible = visible || seen(r)
		}
	}
	return visible && count <= MaxText
}

// object parses a JSON object, keeping numbers as they were written.
func object(location string, text model.JSON) (map[string]any, error) {
	if err := shallow(location, text); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil || fields == nil {
		return nil, model.Invalid(location, "want a JSON object", nil)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, model.Invalid(location, "want one JSON object", nil)
	}
	return fields, nil
}

// shallow refuses nesting deeper than maxDepth without building anything.
func shallow(location string, text model.JSON) error {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return model.Invalid(location, fmt.Sprintf("is nested deeper than %d levels", maxDepth), nil)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func canonical(fields map[string]any) (model.JSON, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		return "", fmt.Errorf("encode content: %w", err)
	}
	return model.JSON(strings.TrimSuffix(b.String(), "\n")), nil
}

// checkBody is the shape of each type. Text is closed; the others may carry fields of the
// application's own, and the fields we know must have their type.
func checkBody(kind model.MessageType, fields map[string]any) error {
	switch kind {
	case model.TypeText:
		return checkText(fields)
	case model.TypeImage, model.TypeFile, model.TypeAudio, model.TypeVideo:
		return checkMedia(fields)
	case model.TypeLocation:
		return checkLocation(fields)
	case model.TypeEmoji, model.TypeCard:
		if len(fields) == 0 {
			return model.Invalid("body.body", "must not be empty", nil)
		}
		return nil
	case model.TypeCustom:
		return nil
	case model.TypeRecall, model.TypeNotice:
		return model.Invalid("body.type", "is written by the server only", string(kind))
	default:
		return model.Invalid("body.type", "want text, image, file, audio, video, location, emoji, card or custom", string(kind))
	}
}

func checkText(fields map[string]any) error {
	for name := range fields {
		if name != "text" {
			return model.Invalid("body.body."+name, "unexpected property", nil)
		}
	}
	text, ok := fields["text"].(string)
	switch {
	case !ok:
		return model.Invalid("body.body.text", "want a string", nil)
	case utf8.RuneCountInString(text) > MaxText:
		return model.Invalid("body.body.text", "is longer than 10,000 characters", nil)
	case blank(text):
		return model.Invalid("body.body.text", "must not be blank", nil)
	}
	return nil
}

// blank says whether nothing of s can be seen.
func blank(s string) bool { return !strings.ContainsFunc(s, seen) }

// seen says whether r is no space, control or format character (such as U+200B).
func seen(r rune) bool {
	return !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r)
}

func checkMedia(fields map[string]any) error {
	file, named := fields["file_id"]
	if text, ok := file.(string); named {
		if _, err := model.ParseID[model.FileID](text); !ok || err != nil {
			return model.Invalid("body.body.file_id", "want an id: a string of decimal digits", nil)
		}
	}
	if _, there := fields["url"]; there || !named {
		if err := checkURL(fields, "url"); err != nil {
			return err
		}
	}
	if _, there := fields["thumbnail_url"]; there {
		if err := checkURL(fields, "thumbnail_url"); err != nil {
			return err
		}
	}
	for _, name := range []string{"name", "mime_type"} {
		if value, there := fields[name]; there {
			if s, ok := value.(string); !ok || len(s) > 2048 {
				return model.Invalid("body.body."+name, "want a string of at most 2,048 bytes", nil)
			}
		}
	}
	for _, name := range []string{"size", "width", "height", "duration_ms"} {
		if value, there := fields[name]; there {
			if n, ok := number(value); !ok || n < 0 {
				return model.Invalid("body.body."+name, "want a number of 0 or more", nil)
			}
		}
	}
	return nil
}

// checkURL wants an address that a browser may load: no javascript: and no data:.
func checkURL(fields map[string]any, name string) error {
	url, ok := fields[name].(string)
	if !ok || url == "" || len(url) > 2048 {
		return model.Invalid("body.body."+name, "want a URL of 1 to 2,048 characters", nil)
	}
	low := strings.ToLower(url)
	own := strings.HasPrefix(url, "/") && !strings.HasPrefix(url, "//") && !strings.HasPrefix(url, `/\`) // those two name a host
	if strings.ContainsFunc(url, unicode.IsControl) || (!own && !strings.HasPrefix(low, "https://") && !strings.HasPrefix(low, "http://")) {
		return model.Invalid("body.body."+name, "want http://, https:// or a path on this server", nil)
	}
	return nil
}

func checkLocation(fields map[string]any) error {
	for name, limit := range map[string]float64{"latitude": 90, "longitude": 180} {
		if n, ok := number(fields[name]); !ok || math.Abs(n) > limit {
			return model.Invalid("body.body."+name, fmt.Sprintf("want a number from -%v to %v", limit, limit), nil)
		}
	}
	return nil
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}
