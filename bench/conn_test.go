package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// canned answers every request on every connection with the same bytes, and closes the connection after each when asked to.
func canned(t *testing.T, text string, closeAfter bool) *target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			br := bufio.NewReader(nc)
			for {
				if _, err := http.ReadRequest(br); err != nil {
					break
				}
				if _, err := io.WriteString(nc, text); err != nil || closeAfter {
					break
				}
			}
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return &target{host: "test", addr: listener.Addr().String()}
}

func TestConnReadsAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		closes     bool
		want       answer
		wantErr    error
	}{
		{name: "content length", text: "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello", want: answer{Status: 201, Body: []byte("hello")}},
		{name: "header names in any case", text: "HTTP/1.1 200 OK\r\ncONTENT-lENGTH:5 \r\n\r\nhello", want: answer{Status: 200, Body: []byte("hello")}},
		{name: "no reason", text: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", want: answer{Status: 200}},
		{name: "bare line feeds", text: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", want: answer{Status: 200, Body: []byte("ok")}},
		{name: "no content", text: "HTTP/1.1 204 No Content\r\n\r\n", want: answer{Status: 204}},
		{name: "interim answers", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", want: answer{Status: 200, Body: []byte("x")}},
		{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n", want: answer{Status: 200, Body: []byte("hello world")}},
		{name: "chunked in capitals with a trailer", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n000\r\nDigest: x\r\nMore: y\r\n\r\n", want: answer{Status: 200, Body: []byte("0123456789")}},
		{name: "retry after", text: "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", want: answer{Status: 503, RetryAfter: 3 * time.Second}},
		{name: "delimited by the end", text: "HTTP/1.1 200 OK\r\n\r\nuntil the end", closes: true, want: answer{Status: 200, Body: []byte("until the end")}},
		{name: "HTTP/1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", closes: true, want: answer{Status: 200, Body: []byte("ok")}},
		{name: "longer than the buffer", text: "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("y", 20000), want: answer{Status: 200, Body: bytes.Repeat([]byte("y"), 20000)}},
		{name: "not HTTP", text: "SSH-2.0-OpenSSH_9.2\r\n", wantErr: errMalformed},
		{name: "bad status", text: "HTTP/1.1 2x0 OK\r\n\r\n", wantErr: errMalformed},
		{name: "bad length", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", wantErr: errMalformed},
		{name: "two lengths", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", wantErr: errMalformed},
		{name: "unknown encoding", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", wantErr: errMalformed},
		{name: "bad chunk size", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", wantErr: errMalformed},
		{name: "chunk too long", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", wantErr: errMalformed},
		{name: "huge chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", wantErr: errAnswerTooLarge},
		{name: "huge answer", text: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", wantErr: errAnswerTooLarge},
		{name: "cut short", text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", closes: true, wantErr: io.ErrUnexpectedEOF},
		{name: "cut in a chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", closes: true, wantErr: io.ErrUnexpectedEOF},
		{name: "endless line", text: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", readBufferSize), wantErr: errHeaderTooLong},
		{name: "endless header", text: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHeaderLines+1), wantErr: errHeaderTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newConn(t.Context(), canned(t, tc.text, tc.closes), 5*time.Second)
			defer c.Close()
			for range 2 { // the second uses the connection again, or a new one
				got, err := c.Do("GET", "/", "", nil)
				if !errors.Is(err, tc.wantErr) {
					t.Fatalf("got error %v, want %v", err, tc.wantErr)
				}
				if err == nil && (got.Status != tc.want.Status || !bytes.Equal(got.Body, tc.want.Body) || got.RetryAfter != tc.want.RetryAfter) {
					t.Fatalf("got %d %q %s, want %d %q %s", got.Status, got.Body, got.RetryAfter, tc.want.Status, tc.want.Body, tc.want.RetryAfter)
				}
			}
		})
	}
}

// Against net/http's server: requests arrive as sent, one connection carries them all, chunked and sized alike.
func TestConnAgainstNetHTTP(t *testing.T) {
	var opened int
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		if req.URL.Path == "/base/chunked" {
			for _, part := range body {
				reply(w, "%c-", part)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			}
			return
		}
		reply(w, "%s %s %s %s %s", req.Method, req.URL.Path, req.Header.Get("Authorization"), req.Header.Get("Content-Type"), body)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened++
		}
	}
	server.Start()
	defer server.Close()
	target, err := parseTarget(server.URL + "/base/")
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(t.Context(), target, 5*time.Second)
	defer c.Close()
	for range 3 {
		for _, tc := range []struct{ method, path, token, body, want string }{
			{"POST", "/sized", "secret", "{}", "POST /base/sized Bearer secret application/json {}"},
			{"GET", "/plain", "", "", "GET /base/plain   "},
			{"POST", "/chunked", "", "abc", "a-b-c-"},
			{"HEAD", "/plain", "", "", ""},
		} {
			var body []byte
			if tc.body != "" {
				body = []byte(tc.body)
			}
			got, err := c.Do(tc.method, tc.path, tc.token, body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != 200 || string(got.Body) != tc.want {
				t.Errorf("%s %s: got %d %q, want 200 %q", tc.method, tc.path, got.Status, got.Body, tc.want)
			}
		}
	}
	c.Close()
	server.Close()
	if opened != 1 {
		t.Errorf("%d connections were opened, want 1", opened)
	}
}

func TestConnEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	c := newConn(ctx, &target{host: "test", addr: listener.Addr().String()}, time.Minute)
	defer c.Close()
	go func() {
		nc, err := listener.Accept()
		if err != nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
			cancel() // the request is out, its answer will never come
		}
	}()
	if _, err := c.Do("GET", "/", "", nil); err == nil {
		t.Fatal("got an answer, want an error")
	}
	if _, err := c.Do("GET", "/", "", nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
}

func TestConnTimesOut(t *testing.T) {
	c := newConn(t.Context(), canned(t, "HTTP/1.1 200 OK\r\n", false), 20*time.Millisecond)
	defer c.Close()
	_, err := c.Do("GET", "/", "", nil)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Fatalf("got %v, want a timeout", err)
	}
}

func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]target{
		"http://127.0.0.1:8080":       {host: "127.0.0.1:8080", addr: "127.0.0.1:8080"},
		"http://chat.test":            {host: "chat.test", addr: "chat.test:80"},
		"https://chat.test/messages/": {secure: true, host: "chat.test", addr: "chat.test:443", prefix: "/messages"},
		"http://[::1]:99":             {host: "[::1]:99", addr: "[::1]:99"},
	} {
		got, err := parseTarget(raw)
		if err != nil || *got != want {
			t.Errorf("%s: got %+v, %v, want %+v", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "127.0.0.1:8080", "ws://x", "http://", "http://x:y"} {
		if got, err := parseTarget(raw); err == nil {
			t.Errorf("%q: got %+v, want an error", raw, got)
		}
	}
}
