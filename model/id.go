package model

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// ID is a 63-bit positive integer from the id service. In JSON it is a string of
// decimal digits, because JavaScript loses integers above 2^53.
//
// The named ids below are distinct types, so that a user cannot be passed where
// a conversation is wanted.
type ID interface {
	~int64
}

type (
	// UserID names an account.
	UserID int64
	// ConversationID names a direct or group conversation; a group's id is its conversation's.
	ConversationID int64
	// MessageID names a message.
	MessageID int64
)

// DeviceID is a device's own stable name: 1 to 64 of A-Z a-z 0-9 . _ -
type DeviceID string

// NodeID numbers a running node, 0 to 1023; it is leased (see lease.go).
type NodeID int64

// ParseID reads an id from its decimal digits: 1 to 2^63-1, no sign, no leading zero.
func ParseID[T ID](s string) (T, error) {
	if s == "" || len(s) > 19 || s[0] < '1' || s[0] > '9' {
		return 0, fmt.Errorf("not an id: want a string of 1 to 19 decimal digits")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not an id: want a string of decimal digits up to 9223372036854775807")
	}
	return T(n), nil
}

func (id UserID) String() string         { return strconv.FormatInt(int64(id), 10) }
func (id ConversationID) String() string { return strconv.FormatInt(int64(id), 10) }
func (id MessageID) String() string      { return strconv.FormatInt(int64(id), 10) }

// MarshalText writes the decimal digits.
func (id UserID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// MarshalText writes the decimal digits.
func (id ConversationID) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(id), 10), nil
}

// MarshalText writes the decimal digits.
func (id MessageID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText reads the decimal digits.
func (id *UserID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[UserID](string(b))
	return err
}

// UnmarshalText reads the decimal digits.
func (id *ConversationID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[ConversationID](string(b))
	return err
}

// UnmarshalText reads the decimal digits.
func (id *MessageID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID[MessageID](string(b))
	return err
}

// Millis is a moment as Unix milliseconds, as the tables keep it; in JSON it is
// RFC 3339 in UTC with milliseconds.
type Millis int64

// TimeFormat is RFC 3339 in UTC with exactly three digits of milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// MillisOf is t in Unix milliseconds.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time is the moment as a time.Time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add is the moment d later.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// MarshalText writes the moment in TimeFormat.
func (m Millis) MarshalText() ([]byte, error) { return m.Time().AppendFormat(nil, TimeFormat), nil }

// UnmarshalText reads RFC 3339.
func (m *Millis) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return fmt.Errorf("not an RFC 3339 time: %w", err)
	}
	*m = MillisOf(t)
	return nil
}

// JSON is a JSON object kept as text, so that both dialects store the same bytes.
// Empty means {}.
type JSON string

// MarshalJSON writes the text as it is.
func (j JSON) MarshalJSON() ([]byte, error) {
	if j == "" {
		return []byte("{}"), nil
	}
	return []byte(j), nil
}

// UnmarshalJSON keeps the text as it is.
func (j *JSON) UnmarshalJSON(b []byte) error {
	if !json.Valid(b) {
		return fmt.Errorf("not JSON")
	}
	*j = JSON(b)
	return nil
}
