package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"ackbox/model"
)

// meaning is what a code is to a client: its HTTP status, its title (which never
// changes from one occurrence to the next) and the lines of its page.
type meaning struct {
	status int
	title  string
	what   string // what has happened
	client string // what a client does about it
}

// meanings is the only place that turns a code into a status.
var meanings = map[model.Code]meaning{
	model.CodeInvalidJSON:          {http.StatusBadRequest, "Invalid JSON", "The body is not JSON, not UTF-8, names a field twice, is nested too deeply, or did not arrive as a whole.", "a bug; do not retry."},
	model.CodeValidation:           {http.StatusUnprocessableEntity, "Validation failed", "The body is JSON, but a field is missing, wrong or unknown, or a parameter is. errors lists each with its location.", "correct the input; do not retry as it is."},
	model.CodeKeyReused:            {http.StatusUnprocessableEntity, "Idempotency key reused", "This sender has sent this client_msg_id before, with other content. Nothing was stored; the first message stands.", "a bug; make one key per message."},
	model.CodeKeyMismatch:          {http.StatusUnprocessableEntity, "Idempotency keys differ", "The header Idempotency-Key and the field client_msg_id are both given and differ.", "a bug; give one, or both alike."},
	model.CodeUnauthenticated:      {http.StatusUnauthorized, "Not authenticated", "No credentials, or a token or ticket that this server did not issue, or a ticket that was used or is too old.", "log in, or get a new ticket."},
	model.CodeInvalidCredentials:   {http.StatusUnauthorized, "Invalid credentials", "Unknown username or wrong password; which of the two is not told.", "ask the person."},
	model.CodeTokenExpired:         {http.StatusUnauthorized, "Token expired", "The access or refresh token is past its time.", "an access token: refresh once, then repeat the request. A refresh token: log in."},
	model.CodeTokenRevoked:         {http.StatusUnauthorized, "Token revoked", "The token was ended before its time: by logout, or because its family was ended.", "log in."},
	model.CodeRefreshReused:        {http.StatusUnauthorized, "Refresh token reused", "The refresh token had been used before. Its whole family has ended, because one of its two users is a thief.", "log in, and look for two places that refresh at the same time."},
	model.CodeForbidden:            {http.StatusForbidden, "Forbidden", "You are known, but may not do this.", "do not retry."},
	model.CodeNotAccepting:         {http.StatusForbidden, "Not accepting", "The recipient takes direct messages from contacts only, and you are none yet; or somebody does not let you bring them into a group. Nothing was stored.", "show it; do not retry."},
	model.CodeBlocked:              {http.StatusForbidden, "Blocked", "The recipient has blocked you. Nothing was stored.", "show it; do not retry."},
	model.CodeBanned:               {http.StatusForbidden, "Banned", "This account is banned.", "stop; reconnecting does not help."},
	model.CodeMuted:                {http.StatusForbidden, "Muted", "You may read in this group, and not write for now. Nothing was stored.", "show it; try again when the mute has ended."},
	model.CodeReceiptsOff:          {http.StatusForbidden, "Receipts are off", "The group is larger than receipts are kept for; detail names the size.", "do not ask again; the conversation says receipts: false."},
	model.CodeQuotaExceeded:        {http.StatusForbidden, "Quota exceeded", "Your files together would have more bytes than this server keeps for one user.", "show it; do not retry."},
	model.CodeOriginNotAllowed:     {http.StatusForbidden, "Origin not allowed", "The page's Origin is neither the server's own nor one that it allows.", "a matter for the operator."},
	model.CodeNotFound:             {http.StatusNotFound, "Not found", "There is no such thing, or it is not yours; the two look the same.", "drop it from the view."},
	model.CodeMethodNotAllowed:     {http.StatusMethodNotAllowed, "Method not allowed", "The path exists, the method does not. Allow names those that do.", "a bug."},
	model.CodeUsernameTaken:        {http.StatusConflict, "Username taken", "Someone has this name.", "ask for another."},
	model.CodePositionLost:         {http.StatusConflict, "Position lost", "The position that the device gave does not exist here: another message is at that seq, or it is beyond head. Nothing was acknowledged.", "step back through the entries you hold until one matches, then sync from there; never skip forward."},
	model.CodeRecallTooLate:        {http.StatusConflict, "Too late to recall", "The time in which a sender may recall a message is over.", "show it; do not retry."},
	model.CodeBodyTooLarge:         {http.StatusRequestEntityTooLarge, "Body too large", "The request body is over 256 KiB. (A message's body and ext over 64 KiB together are validation_failed.)", "send less."},
	model.CodeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "Unsupported media type", "The content type is not application/json in UTF-8.", "a bug."},
	model.CodeFileTooLarge:         {http.StatusRequestEntityTooLarge, "File too large", "The file is larger than this server takes; detail names the bound.", "show it; do not retry."},
	model.CodeFileRefused:          {http.StatusUnsupportedMediaType, "File refused", "Files of this type are not taken, or the content is not what its type says, or an image that cannot be read or has too many pixels.", "show it; do not retry. As application/octet-stream it may be taken, as a download."},
	model.CodeRangeBeyond:          {http.StatusRequestedRangeNotSatisfiable, "Range not satisfiable", "The file ends before the range begins; Content-Range says its size.", "ask for another range."},
	model.CodeRateLimited:          {http.StatusTooManyRequests, "Too many requests", "Too many requests in a short time.", "retry after Retry-After seconds."},
	model.CodeInternal:             {http.StatusInternalServerError, "Internal error", "A fault of the server. What happened is in its log, under request_id.", "a send: retry with the same key. Anything else: show it."},
	model.CodeUnavailable:          {http.StatusServiceUnavailable, "Unavailable", "A part of the system that this request needs is down. Nothing was stored.", "retry after Retry-After seconds."},
	model.CodeUnknownOutcome:       {http.StatusServiceUnavailable, "Unknown outcome", "The database was lost in the middle of a COMMIT and did not come back in time to say whether it happened.", "retry with the same key after Retry-After seconds."},
	model.CodeDraining:             {http.StatusServiceUnavailable, "Draining", "This node is stopping.", "retry after Retry-After seconds; a load balancer sends you to another node."},
}

// Problem is every error answer: RFC 9457, with a stable code.
type Problem struct {
	Type         string         `json:"type" doc:"The page of the code" format:"uri-reference" example:"/docs/errors#validation_failed"`
	Title        string         `json:"title" doc:"The code in words"`
	Status       int            `json:"status" doc:"The HTTP status"`
	Detail       string         `json:"detail" doc:"What happened this time, for people"`
	Code         model.Code     `json:"code" doc:"What a program looks at; it does not change"`
	Errors       []FieldProblem `json:"errors,omitempty" doc:"Bad fields"`
	RequestID    string         `json:"request_id" doc:"The line to look for in the server's log"`
	Head         *int64         `json:"head,omitempty" doc:"position_lost: the mailbox's last seq"`
	Limit        string         `json:"limit,omitempty" doc:"rate_limited: which limit"`
	Floor        *int64         `json:"floor,omitempty" doc:"position_lost: the oldest seq that is still kept"`
	Dependencies []Dependency   `json:"dependencies,omitempty" doc:"/readyz: every dependency with its state"`

	retryAfter time.Duration
	cause      error // for the log
}

// FieldProblem is one bad field.
type FieldProblem struct {
	Location string `json:"location" doc:"body, path, query or header, and the way to the field" example:"body.username"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty" doc:"What was sent, when it is short and no secret"`
}

// Bounds of what an error answer repeats of a request.
const (
	maxFieldProblems = 20
	maxEchoed        = 200 // bytes of a value or a location
)

// minRetryAfter is what Retry-After says when nobody knows better.
const minRetryAfter = time.Second

func (p *Problem) Error() string { return fmt.Sprintf("%s: %s", p.Code, p.Detail) }

// GetStatus is huma's way to ask for the status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is huma's way to ask for the media type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(code model.Code, detail string) *Problem {
	m, known := meanings[code]
	if !known {
		code, m = model.CodeInternal, meanings[model.CodeInternal]
	}
	if detail == "" {
		detail = m.title
	}
	return &Problem{Type: "/docs/errors#" + string(code), Title: m.title, Status: m.status, Detail: detail, Code: code}
}

// toProblem translates any error. What is not a *model.Error is told by its code
// only: its text is for the log.
func toProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *model.Error
	switch {
	case errors.As(err, &e):
		p = newProblem(e.Code, e.Detail)
		p.retryAfter, p.Limit = e.RetryAfter, e.Limit
		for _, f := range e.Fields {
			p.addField(f.Location, f.Message, f.Value)
		}
		if e.Code == model.CodePositionLost {
			p.Head, p.Floor = &e.Head, &e.Floor
		}
	case errors.Is(err, context.Canceled):
		p = newProblem(model.CodeUnavailable, "the request was given up")
	case errors.Is(err, model.ErrCommitUnknown):
		p = newProblem(model.CodeUnknownOutcome, "the database was lost during COMMIT")
	case model.Unreachable(err):
		p = newProblem(model.CodeUnavailable, "the database does not answer")
	default:
		p = newProblem(model.CodeInternal, "an internal error; its cause is in the log under the request id")
	}
	if p.Code == model.CodeInternal && e != nil {
		p.Detail = "an internal error; its cause is in the log under the request id"
	}
	if p.Status >= http.StatusInternalServerError {
		p.cause = err
	}
	return p
}

func (p *Problem) addField(location, message string, value any) {
	if len(p.Errors) < maxFieldProblems {
		p.Errors = append(p.Errors, FieldProblem{Location: cut(location), Message: message, Value: echo(location, value)})
	}
}

func cut(s string) string {
	if len(s) <= maxEchoed {
		return s
	}
	return strings.ToValidUTF8(s[:maxEchoed], "") + "…"
}

// echo is a value that may be repeated to the client: short, no composite (huma
// names the whole object when one field is missing) and no secret.
func echo(location string, value any) any {
	switch location[strings.LastIndexByte(location, '.')+1:] {
	case "password", "refresh_token", "ticket", "body":
		return nil
	}
	switch v := value.(type) {
	case string:
		if v == "" || len(v) > maxEchoed {
			return nil
		}
		return v
	case bool, float64, int, int64, uint64:
		return v
	}
	return nil
}

// finish adds what belongs to this answer: the request id and headers.
func (p *Problem) finish(c *gin.Context) {
	p.RequestID = requestID(c)
	h := c.Writer.Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="ackbox"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		seconds := math.Ceil(max(p.retryAfter, minRetryAfter).Seconds())
		h.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	h.Set("Cache-Control", "no-store") // also where a page or a file had said otherwise
	if p.cause != nil {
		c.Errors = append(c.Errors, &gin.Error{Err: p.cause, Type: gin.ErrorTypePrivate})
	}
}

// fail answers a request outside of huma with err and ends its chain of handlers.
func (a *API) fail(c *gin.Context, err error) {
	copied := *toProblem(err)
	p := &copied
	p.finish(c)
	c.Abort()
	var body bytes.Buffer
	if err := encode(&body, p); err != nil {
		c.Errors = append(c.Errors, &gin.Error{Err: fmt.Errorf("encode problem: %w", err), Type: gin.ErrorTypePrivate})
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Data(p.Status, p.ContentType(""), body.Bytes())
}

// refuse answers a request inside of huma's middleware with err.
func (a *API) refuse(ctx huma.Context, err error) {
	if err := huma.WriteErr(a.huma, ctx, toProblem(err).Status, "", err); err != nil {
		c := humagin.Unwrap(ctx)
		c.Errors = append(c.Errors, &gin.Error{Err: err, Type: gin.ErrorTypePrivate})
	}
}

// codeOf says which code one of huma's own refusals is.
func codeOf(status int) model.Code {
	switch status {
	case http.StatusBadRequest, http.StatusRequestTimeout:
		return model.CodeInvalidJSON
	case http.StatusRequestEntityTooLarge:
		return model.CodeBodyTooLarge
	case http.StatusUnsupportedMediaType:
		return model.CodeUnsupportedMediaType
	case http.StatusUnprocessableEntity:
		return model.CodeValidation
	}
	return model.CodeInternal
}

// humaProblem makes a Problem of what huma has to say: either an error of a handler
// or middleware of ours, which is translated, or its own findings about a request.
func humaProblem(_ huma.Context, status int, message string, errs ...error) huma.StatusError {
	for _, err := range errs {
		var ours *model.Error
		if errors.As(err, &ours) || codeOf(status) == model.CodeInternal {
			return toProblem(err)
		}
	}
	p := newProblem(codeOf(status), message)
	if p.Code == model.CodeInternal {
		p.cause = errors.New(message)
		p.Detail = "an internal error; its cause is in the log under the request id"
	}
	for _, err := range errs {
		var detailer huma.ErrorDetailer
		if !errors.As(err, &detailer) {
			p.addField("body", err.Error(), nil)
			continue
		}
		d := detailer.ErrorDetail()
		if p.Code == model.CodeInvalidJSON { // one reason, and no field to blame
			p.Detail = d.Message
			continue
		}
		p.addField(d.Location, d.Message, d.Value)
	}
	if p.Code == model.CodeValidation {
		p.Detail = "the request has bad fields"
		slices.SortStableFunc(p.Errors, func(x, y FieldProblem) int { return cmp.Compare(x.Location, y.Location) })
	}
	return p
}

func init() {
	// These variables are how huma is told of an error type.
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaProblem(nil, status, message, errs...)
	}
	huma.NewErrorWithContext = humaProblem
	huma.ValidateStrictCasing = true  // "PASSWORD" is an unknown field, not the password
	huma.DefaultArrayNullable = false // our lists are [] when they are empty
	gin.SetMode(gin.ReleaseMode)
}
