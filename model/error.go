package model

import (
	"errors"
	"fmt"
	"time"
)

// Code names a rule that was broken. Codes are stable: clients branch on them,
// docs/errors.md explains each, and api/problem.go is the only place that turns
// one into an HTTP status.
type Code string

// The closed set of codes.
const (
	CodeInvalidJSON          Code = "invalid_json"
	CodeValidation           Code = "validation_failed"
	CodeKeyReused            Code = "idempotency_key_reused"
	CodeKeyMismatch          Code = "idempotency_key_mismatch"
	CodeUnauthenticated      Code = "unauthenticated"
	CodeInvalidCredentials   Code = "invalid_credentials"
	CodeTokenExpired         Code = "token_expired"
	CodeTokenRevoked         Code = "token_revoked"
	CodeRefreshReused        Code = "refresh_token_reused"
	CodeForbidden            Code = "forbidden"
	CodeBlocked              Code = "blocked"
	CodeNotAccepting         Code = "not_accepting"
	CodeBanned               Code = "banned"
	CodeMuted                Code = "muted"
	CodeReceiptsOff          Code = "receipts_off"
	CodeOriginNotAllowed     Code = "origin_not_allowed"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeUsernameTaken        Code = "username_taken"
	CodePositionLost         Code = "position_lost"
	CodeRecallTooLate        Code = "recall_too_late"
	CodeBodyTooLarge         Code = "body_too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeRangeBeyond          Code = "range_not_satisfiable"
	CodeFileTooLarge         Code = "file_too_large"
	CodeFileRefused          Code = "file_refused"
	CodeQuotaExceeded        Code = "quota_exceeded"
	CodeRateLimited          Code = "rate_limited"
	CodeInternal             Code = "internal"
	CodeUnavailable          Code = "unavailable"
	CodeUnknownOutcome       Code = "unknown_outcome"
	CodeDraining             Code = "draining"
)

// Field is one bad field of a request: where it is (`body.text`), what is wrong,
// and the value that was sent (nil when it must not be repeated, e.g. a password).
type Field struct {
	Location string
	Message  string
	Value    any
}

// Error is a broken rule. It is made where the rule breaks, wrapped with %w on
// its way up, and translated once at the edge.
type Error struct {
	Code       Code
	Detail     string        // one sentence for a developer; never a secret, never a message text
	Fields     []Field       // bad fields, for CodeValidation
	RetryAfter time.Duration // for 429 and 503; 0 means the edge's default
	Head       int64         // for CodePositionLost: the mailbox's last seq …
	Limit      string        // for CodeRateLimited: which limit
	Floor      int64         // … and the oldest one that is still kept
	Cause      error         // what lies beneath, for the log only
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Detail)
}

// Unwrap gives the cause, so that errors.Is sees through.
func (e *Error) Unwrap() error { return e.Cause }

// NewError makes an error of a code with one sentence of detail.
func NewError(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Invalid is a CodeValidation error of one field.
func Invalid(location, message string, value any) *Error {
	return &Error{Code: CodeValidation, Detail: "the request has bad fields", Fields: []Field{{location, message, value}}}
}

// NotFound is what strangers and askers for what does not exist both get.
func NotFound(what string) *Error { return NewError(CodeNotFound, "no such %s", what) }

// CodeOf is the code of the first *Error in err's chain, CodeInternal for any
// other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
