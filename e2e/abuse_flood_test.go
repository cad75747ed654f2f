package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// idle is how many connections a flooder holds; the machine that tests must have the files for it.
const idle = 500

// TestAbuseFloods: whoever sends slowly, endlessly or nothing at all is cut off, and meanwhile everybody else is served.
func TestAbuseFloods(t *testing.T) {
	t.Parallel()
	s := embedded.start(t)
	address, err := url.Parse(s.client.Base())
	if err != nil {
		t.Fatal(err)
	}
	host := address.Host
	alice, bob := s.user(t), s.user(t)
	laptop := bob.openLive("laptop")
	for range idle {
		dialRaw(t, host)
	}

	authorization := "Authorization: Bearer " + alice.AccessToken + "\r\n"
	head := func(method, path, rest string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + rest
	}
	var slow sync.WaitGroup
	for name, begin := range map[string]string{
		"nothing":                         "",
		"half a line":                     "GET /hea",
		"headers without end":             head("GET", "/healthz", "X-Slow: "),
		"a handshake without end":         head("GET", "/v1/ws?device_id=x", authorization+"Upgrade: websocket\r\nX-Slow: "),
		"a body by nobody":                head("POST", "/v1/messages", "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"),
		"a body":                          head("POST", "/v1/messages", authorization+"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"),
		"a body in chunks":                head("POST", "/v1/auth/login", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n400\r\n"),
		"a body for a call without":       head("POST", "/v1/auth/ws-ticket", authorization+"Content-Length: 1000\r\n\r\n{"),
		"a body for a read":               head("GET", "/healthz", "Content-Length: 1000\r\n\r\n{"),
		"a body for nothing":              head("POST", "/nope", "Content-Length: 1000\r\n\r\n{"),
		"a body behind a handshake of no": head("GET", "/v1/ws?device_id=x", "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1000\r\n\r\n{"),
	} {
		conn := dialRaw(t, host)
		slow.Go(func() {
			began := time.Now()
			if err := trickle(conn, begin, 3*patience); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			t.Logf("%s: cut off after %s", name, time.Since(began).Round(time.Second)) // 10 s for headers, 15 s for a body
		})
	}

	// Endless input is stopped at its bound, not at its end.
	slow.Go(func() {
		chunk := "8000\r\n" + strings.Repeat("x", 0x8000) + "\r\n"
		if status := endless(dialRaw(t, host), head("POST", "/v1/auth/login", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"), chunk); status != http.StatusRequestEntityTooLarge {
			t.Errorf("endless chunks: got %d, want 413", status)
		}
	})
	slow.Go(func() {
		if status := endless(dialRaw(t, host), head("GET", "/healthz", ""), "X-Bomb: "+strings.Repeat("x", 8000)+"\r\n"); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("endless headers: got %d, want 431", status)
		}
	})

	// Meanwhile.
	over := make(chan struct{})
	go func() { slow.Wait(); close(over) }()
	served := int64(0)
	for done := false; !done; {
		select {
		case <-over:
			done = true
		default:
			served++
			alice.send(bob, fmt.Sprintf("during the flood %d", served))
			laptop.pushes(served, served)
			bob.ack("laptop", served, served)
		}
		select {
		case <-over:
		case <-time.After(50 * time.Millisecond): // a user's pace
		}
	}
	if served < 20 {
		t.Errorf("%d messages were served in all that time", served)
	}
	laptop.alive()
	if fds := s.metric(t, "process_open_fds"); fds > idle+200 {
		t.Errorf("the server holds %.0f files", fds)
	}
}

// trickle begins a request, goes on a byte at a time, and wants the server to end the connection within the time given.
func trickle(conn net.Conn, begin string, within time.Duration) error {
	if _, err := io.WriteString(conn, begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	var group errgroup.Group
	ended := make(chan struct{})
	group.Go(func() error {
		defer close(ended)
		_, err := io.Copy(io.Discard, conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return errors.New("the server keeps the connection")
		}
		return nil // closed or reset
	})
	group.Go(func() error {
		if begin == "" {
			return nil
		}
		pace := time.NewTicker(500 * time.Millisecond)
		defer pace.Stop()
		for range within / (500 * time.Millisecond) {
			select {
			case <-ended:
				return nil
			case <-pace.C:
			}
			if _, err := conn.Write([]byte("x")); err != nil {
				return nil // the server has closed it, which is what we wait for
			}
		}
		return nil
	})
	return group.Wait()
}

// endless writes part after part until the server has had enough, and answers with what status; 0: it took 64 MiB, or
// said nothing.
func endless(conn net.Conn, begin, part string) int {
	answered := make(chan int, 1)
	go func() { // ends with the connection, and is awaited
		line, err := bufio.NewReader(conn).ReadString('\n')
		var status int
		if _, scanErr := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil || scanErr != nil {
			status = 0
		}
		answered <- status
	}()
	if _, err := io.WriteString(conn, begin); err != nil {
		return <-answered
	}
	for written := 0; written < 64<<20; written += len(part) {
		select {
		case status := <-answered:
			return status
		default:
		}
		if _, err := io.WriteString(conn, part); err != nil {
			return <-answered
		}
	}
	return 0
}

// TestAbuseSmuggling: the rest of a body that was refused is never read as a request: the connection ends with the one
// answer, so that a proxy which shares it among people can't be made to give one the answer of another.
func TestAbuseSmuggling(t *testing.T) {
	t.Parallel()
	s := embedded.start(t)
	address, err := url.Parse(s.client.Base())
	if err != nil {
		t.Fatal(err)
	}
	bob := s.user(t)
	smuggled := "GET /healthz HTTP/1.1\r\nHost: " + address.Host + "\r\n\r\n"
	const chunked = "Transfer-Encoding: chunked\r\n\r\n"
	chunk := func(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }
	// A server that goes on after a refusal does so behind what it has read (its bound and a byte) and what it has
	// thrown away (as much as it does to keep a connection); these are places where it may be.
	const bound = 256 << 10
	for name, rest := range map[string]string{
		"behind the bound":              chunked + chunk(strings.Repeat("x", bound+1)+strings.Repeat(smuggled, 20_000)),
		"behind what is thrown away":    chunked + chunk(strings.Repeat("x", 2*bound+1)+strings.Repeat(smuggled, 20_000)),
		"with a length":                 fmt.Sprintf("Content-Length: %d\r\n\r\n", bound+len(smuggled)) + strings.Repeat("x", bound) + smuggled,
		"behind a broken chunk":         chunked + "1\r\n{\r\nzz\r\n" + smuggled,
		"behind a chunk that is longer": chunked + "1\r\n{}" + smuggled,
		"with two lengths":              "Content-Length: 2\r\nContent-Length: 50\r\n\r\n{}" + smuggled,
		"in chunks of an unknown kind":  "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled,
		"in chunks twice":               "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled,
		"with a negative length":        "Content-Length: -1\r\n\r\n" + smuggled,
		"with a length that has a sign": "Content-Length: +2\r\n\r\n{}" + smuggled,
		"with a space before the colon": "Content-Length : 2\r\n\r\n{}" + smuggled,
	} {
		for _, path := range []string{"/v1/messages", "/v1/auth/login", "/v1/auth/ws-ticket"} {
			t.Run(name+" "+path, func(t *testing.T) {
				conn := dialRaw(t, address.Host)
				written := make(chan error, 1)
				go func() { // ends with the connection, and is awaited
					_, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: "+address.Host+"\r\nAuthorization: Bearer "+bob.AccessToken+"\r\nContent-Type: application/json\r\n"+rest)
					written <- err
				}()
				answers, err := io.ReadAll(conn)
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Errorf("the server keeps the connection; so far %.300q", answers)
				}
				if n := strings.Count(string(answers), "HTTP/1.1 "); n > 1 {
					t.Errorf("%d answers to one request: %.900q", n, answers)
				}
				if err := conn.Close(); err != nil {
					t.Fatal(err)
				}
				if err := <-written; err != nil {
					t.Logf("the server closed while it was written to: %v", err)
				}
			})
		}
	}
}

// metric is a metric without labels.
func (s *system) metric(t *testing.T, name string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(s.get(t, "/metrics").Body)
	if found == nil {
		t.Fatalf("no metric %s", name)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestAbuseForwardedFor: who an address is in the log, and for the limits, is what a trusted proxy says, and else who is
// connected.
func TestAbuseForwardedFor(t *testing.T) {
	t.Parallel()
	type c struct {
		header http.Header
		want   string
	}
	forwarded := func(values ...string) http.Header { return http.Header{"X-Forwarded-For": values} }
	for name, settings := range map[string]struct {
		env   string
		cases []c
	}{
		"no proxies": {"ACKBOX_LOG_LEVEL=debug", []c{
			{forwarded("1.2.3.4"), "127.0.0.1"},
			{http.Header{"X-Real-Ip": {"1.2.3.4"}, "Forwarded": {"for=1.2.3.4"}, "True-Client-Ip": {"1.2.3.4"}, "Cf-Connecting-Ip": {"1.2.3.4"}}, "127.0.0.1"},
		}},
		"a foreign proxy": {"ACKBOX_TRUSTED_PROXIES=192.0.2.1", []c{{forwarded("1.2.3.4"), "127.0.0.1"}}},
		"proxies": {"ACKBOX_TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8", []c{
			{nil, "127.0.0.1"},
			{forwarded("1.2.3.4"), "1.2.3.4"},
			{forwarded("6.6.6.6, 1.2.3.4"), "1.2.3.4"},
			{forwarded("6.6.6.6", "1.2.3.4"), "1.2.3.4"}, // the proxy added a line of its own
			{forwarded("6.6.6.6, 1.2.3.4, 10.1.2.3"), "1.2.3.4"},
			{forwarded("2001:db8::1, 10.1.2.3"), "2001:db8::1"},
			{forwarded("1.2.3.4, garbage"), "127.0.0.1"},
			{http.Header{"X-Real-Ip": {"1.2.3.4"}}, "127.0.0.1"},
			{http.Header{"X-Forwarded-For": {"garbage"}, "X-Real-Ip": {"1.2.3.4"}}, "127.0.0.1"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := embedded.start(t, "ACKBOX_LOG_LEVEL=debug", settings.env)
			for i, want := range settings.cases {
				header := want.header.Clone()
				if header == nil {
					header = http.Header{}
				}
				id := fmt.Sprintf("request-%d", i)
				header.Set("X-Request-Id", id)
				if _, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/nope", Header: header}); err != nil {
					t.Fatal(err)
				}
				line := ""
				for !strings.Contains(line, "client=") { // written after the answer
					if t.Context().Err() != nil {
						t.Fatal("no line of the request")
					}
					_, rest, _ := strings.Cut(s.server.Output(), "request_id="+id+" ")
					line, _, _ = strings.Cut(rest, "\n")
				}
				if _, got, _ := strings.Cut(line, "client="); got != want.want {
					t.Errorf("%v: the client is %s, want %s", want.header, got, want.want)
				}
			}
		})
	}
}
