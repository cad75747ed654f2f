package bench

import "bytes"

// The scanners below find one field in a JSON text without parsing the rest. A key can't be met inside a string by
// accident, because a quote inside a JSON string is escaped; a key of the same name in an object before the wanted one
// could be, which the contract's frames and our own bodies rule out.

// rawField returns what follows `"key":`, white space skipped, up to the end of the text.
func rawField(text []byte, quotedKey string) ([]byte, bool) {
	for {
		i := bytes.Index(text, []byte(quotedKey)) // the compiler keeps this conversion off the heap
		if i < 0 {
			return nil, false
		}
		text = trimLeft(text[i+len(quotedKey):])
		if len(text) > 0 && text[0] == ':' {
			return trimLeft(text[1:]), true
		}
	}
}

// stringField returns the raw content of a string field; it is meant for ids and codes, which hold no escapes.
func stringField(text []byte, quotedKey string) (string, bool) {
	raw, ok := rawString(text, quotedKey)
	return string(raw), ok
}

func rawString(text []byte, quotedKey string) ([]byte, bool) {
	rest, ok := rawField(text, quotedKey)
	if !ok || len(rest) == 0 || rest[0] != '"' {
		return nil, false
	}
	end := bytes.IndexByte(rest[1:], '"')
	if end < 0 {
		return nil, false
	}
	return rest[1 : 1+end], true
}

// seqField returns a mailbox entry's seq.
func seqField(text []byte) (int64, bool) { return uintField(text, `"seq"`) }

func uintField(text []byte, quotedKey string) (int64, bool) {
	rest, ok := rawField(text, quotedKey)
	if !ok {
		return 0, false
	}
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	return parseUint(rest[:n])
}

// frameType returns a frame's type, which the contract puts first.
func frameType(frame []byte) []byte {
	kind, _ := rawString(frame, `"type"`)
	return kind
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// parseUint reads decimal digits only: no sign, no space, at most 18 digits.
func parseUint(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, true
}
