// Package client speaks Ackbox's wire contract, version 1, as a careful client would: typed REST calls and the push-only
// WebSocket. It knows the contract and nothing of the server, so that the end-to-end suite can't share a mistake with it.
//
// A call answers with a typed value, or with a *Problem when the server refused, or with another error when there was no
// usable answer at all (the outcome is then unknown). Every refusal is checked to be a well-formed problem document.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// maxAnswer bounds the bytes of one answer that are read: 200 entries of 64 KiB and their envelopes fit.
const maxAnswer = 16 << 20

// Client talks to one node. It is safe for concurrent use; Close it when done.
type Client struct {
	base string
	http *http.Client
}

// New makes a client of the node at base, such as http://127.0.0.1:8080.
func New(base string) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &Client{
		base: strings.TrimRight(base, "/"),
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:         dialer.DialContext,
				MaxIdleConnsPerHost: 64,
				IdleConnTimeout:     30 * time.Second,
			},
			Timeout: 30 * time.Second,
		},
	}
}

// Close drops the kept-alive connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base is the node's address, without a trailing slash.
func (c *Client) Base() string { return c.base }

// Request is one HTTP call. Body is encoded as JSON unless Raw is given; ContentType defaults to application/json when
// there is a body.
type Request struct {
	Method      string
	Path        string
	Token       string
	Header      http.Header
	Body        any
	Raw         []byte
	ContentType string
}

// Answer is what came back, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends the request and reads the answer whatever its status; an error means that there is no complete answer.
func (c *Client) Do(ctx context.Context, r Request) (answer Answer, err error) {
	raw := r.Raw
	if raw == nil && r.Body != nil {
		if raw, err = json.Marshal(r.Body); err != nil {
			return Answer{}, fmt.Errorf("encode %s %s: %w", r.Method, r.Path, err)
		}
	}
	var body io.Reader
	if raw != nil {
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.base+r.Path, body)
	if err != nil {
		return Answer{}, fmt.Errorf("make %s %s: %w", r.Method, r.Path, err)
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if raw != nil && req.Header.Get("Content-Type") == "" {
		contentType := r.ContentType
		if contentType == "" {
			contentType = "application/json"
		}
		req.Header.Set("Content-Type", contentType)
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: read}, nil
}

// call sends the request; a 2xx answer is decoded into out (nil: there must be no body), anything else is a *Problem.
func (c *Client) call(ctx context.Context, r Request, out any) (Answer, error) {
	answer, err := c.Do(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	if answer.Status/100 != 2 {
		problem, err := answer.Problem()
		if err != nil {
			return answer, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
		}
		return answer, problem
	}
	if out == nil {
		if len(answer.Body) != 0 {
			return answer, fmt.Errorf("%s %s: %d with an unexpected body %.200q", r.Method, r.Path, answer.Status, answer.Body)
		}
		return answer, nil
	}
	if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		return answer, fmt.Errorf("%s %s: answer is %q, want application/json", r.Method, r.Path, got)
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return answer, fmt.Errorf("decode the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return answer, nil
}
