package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"regexp"
)

// Problem is an RFC 9457 answer with the contract's extension members. Limit comes with rate_limited, Head and Floor with position_lost.
type Problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Code      string         `json:"code"`
	Errors    []ProblemField `json:"errors"`
	RequestID string         `json:"request_id"`
	Limit     string         `json:"limit"`
	Head      *int64         `json:"head"`
	Floor     *int64         `json:"floor"`

	// RetryAfter is the header of that name, empty when absent.
	RetryAfter string `json:"-"`
}

// ProblemField says what is wrong with one field of the request.
type ProblemField struct {
	Location string `json:"location"`
	Message  string `json:"message"`
	Value    any    `json:"value"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s (request %s)", p.Status, p.Code, p.Detail, p.RequestID)
}

// AsProblem finds the server's refusal in err.
func AsProblem(err error) (*Problem, bool) {
	var p *Problem
	ok := errors.As(err, &p)
	return p, ok
}

// codePattern is what makes a code machine-readable: a snake_case word.
var codePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// Problem checks that the answer is a well-formed problem document of the contract and decodes it.
func (a Answer) Problem() (*Problem, error) {
	malformed := func(why string, args ...any) error {
		return fmt.Errorf("%d answer is no well-formed problem: %s: %.300q", a.Status, fmt.Sprintf(why, args...), a.Body)
	}
	contentType := a.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/problem+json" {
		return nil, malformed("content type %q", contentType)
	}
	p := &Problem{RetryAfter: a.Header.Get("Retry-After")}
	if err := json.Unmarshal(a.Body, p); err != nil {
		return nil, malformed("%v", err)
	}
	switch {
	case p.Status != a.Status:
		return nil, malformed("status %d", p.Status)
	case p.Type == "":
		return nil, malformed("no type")
	case p.Title == "":
		return nil, malformed("no title")
	case p.Detail == "":
		return nil, malformed("no detail")
	case !codePattern.MatchString(p.Code):
		return nil, malformed("code %q", p.Code)
	case p.RequestID == "":
		return nil, malformed("no request_id")
	}
	for _, field := range p.Errors {
		if field.Message == "" {
			return nil, malformed("an entry of errors has no message")
		}
	}
	return p, nil
}
