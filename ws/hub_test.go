package ws

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"
)

const patience = time.Minute

// owner counts what its socket has written.
type owner struct{ written atomic.Int64 }

func (o *owner) Written() { o.written.Add(1) }

// served is a hub behind a real listener. What joins comes out of joined.
type served struct {
	*Hub
	t       *testing.T
	url     string
	secure  *httptest.Server // the same behind TLS
	joined  chan *joined
	answers chan error // what Serve answered, when its handler had returned
}

type joined struct {
	*Conn
	*owner
	left chan struct{}
}

func newServed(t *testing.T, limit int) *served {
	t.Helper()
	origin := func(r *http.Request) bool {
		o := r.Header.Get("Origin")
		return o == "" || o == "https://app.example"
	}
	s := &served{Hub: NewHub(limit, patience, origin, slog.New(slog.DiscardHandler)), t: t, joined: make(chan *joined, 100), answers: make(chan error, 100)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.answers <- s.Serve(w, r, func(c *Conn) (Session, func()) {
			j := &joined{Conn: c, owner: &owner{}, left: make(chan struct{})}
			if hello := r.URL.Query().Get("hello"); hello != "" {
				if !pushed(c, []byte(hello)) {
					t.Error("the first frame was not taken")
				}
			}
			s.joined <- j
			return j.owner, func() { close(j.left) }
		})
	})
	server := httptest.NewServer(handler)
	s.secure = httptest.NewTLSServer(handler)
	s.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		must(t, s.Close(ended))
		server.Close()
		s.secure.Close()
		if n := s.Count(); n != 0 {
			t.Errorf("%d sockets are counted after the end", n)
		}
	})
	return s
}

func pushed(c *Conn, frame []byte) bool {
	_, ok := c.Push([][]byte{frame})
	return ok
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func received[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
	}
	return v
}

// dial connects a client, and answers the status of the handshake.
func (s *served) dial(query string, header http.Header) (client *websocket.Conn, status int, err error) {
	s.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.secure.Certificate())
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}, HandshakeTimeout: patience, Subprotocols: []string{"ticket.abc", Subprotocol}}
	client, response, err := dialer.DialContext(s.t.Context(), s.url+query, header)
	if response != nil {
		status = response.StatusCode
		must(s.t, response.Body.Close())
	}
	if err == nil {
		must(s.t, client.SetReadDeadline(time.Now().Add(patience)))
		s.t.Cleanup(func() {
			if err := client.NetConn().Close(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) { // TLS says goodbye
				must(s.t, err)
			}
		})
	}
	return client, status, err
}

func (s *served) connect(query string) (*websocket.Conn, *joined) {
	s.t.Helper()
	client, _, err := s.dial(query, nil)
	must(s.t, err)
	// The handler returns while the socket lives on.
	must(s.t, received(s.t, "the handler to return", s.answers))
	return client, received(s.t, "the join", s.joined)
}

func read(t *testing.T, client *websocket.Conn) string {
	t.Helper()
	kind, text, err := client.ReadMessage()
	must(t, err)
	if kind != websocket.TextMessage {
		t.Errorf("a frame of kind %d, want text", kind)
	}
	return string(text)
}

// wantClose reads the close frame.
func wantClose(t *testing.T, client *websocket.Conn, code int, reason string) {
	t.Helper()
	_, text, err := client.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code || closed.Text != reason {
		t.Fatalf("got %q, %v, want close %d %q", text, err, code, reason)
	}
}

// TestPushes come in order, the first ones too that were pushed while joining.
func TestPushes(t *testing.T) {
	s := newServed(t, 10)
	client, j := s.connect("?hello=first")
	if got := read(t, client); got != "first" {
		t.Errorf("got %q, want what was pushed while joining", got)
	}
	if got := client.Subprotocol(); got != Subprotocol {
		t.Errorf("subprotocol %q, want %q", got, Subprotocol)
	}
	const frames = 500
	for i := range frames {
		if !pushed(j.Conn, fmt.Appendf(nil, "frame %d", i)) {
			t.Fatalf("frame %d was not taken", i)
		}
		if got, want := read(t, client), fmt.Sprintf("frame %d", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if told := j.written.Load(); told != 0 {
		t.Errorf("the owner was told of %d frames that did not wait", told)
	}
	if s.Count() != 1 {
		t.Errorf("%d sockets are counted, want 1", s.Count())
	}
}

// TestSlowReader: what the kernel has no room for waits without keeping the pusher, and arrives in
// order once the client reads, with bye and close behind it; the owner hears of each frame that waited.
func TestSlowReader(t *testing.T) {
	s := newServed(t, 10)
	client, j := s.connect("")
	text := strings.Repeat("x", 10_000)
	pushes, waiting := 0, 0
	for ; waiting < 300; pushes += 3 {
		waits, ok := j.Push([][]byte{fmt.Appendf(nil, "%d %s", pushes, text), fmt.Appendf(nil, "%d", pushes+1), fmt.Appendf(nil, "%d %s%s", pushes+2, text, text)})
		if !ok {
			t.Fatal("a frame was not taken")
		}
		if waiting > 0 && waits != 3 {
			t.Fatalf("%d of 3 frames wait behind others", waits)
		}
		waiting += waits
	}
	must(t, client.WriteControl(websocket.PingMessage, []byte("p"), time.Now().Add(patience))) // its answer waits, or is dropped
	j.Close([]byte("bye"), 4009, "slow")
	for i := range pushes {
		number, _, _ := strings.Cut(read(t, client), " ")
		if want := strconv.Itoa(i); number != want {
			t.Fatalf("got frame %s, want %s", number, want)
		}
	}
	if got := read(t, client); got != "bye" {
		t.Errorf("got %q, want bye", got)
	}
	wantClose(t, client, 4009, "slow")
	received(t, "leave", j.left)
	if told := j.written.Load(); told < int64(waiting) || told > int64(waiting)+1 {
		t.Errorf("the owner heard of %d frames, want the %d that waited, and bye at most", told, waiting)
	}
}

// TestCaughtUp: after what waited has been written, frames go out at once again.
func TestCaughtUp(t *testing.T) {
	s := newServed(t, 10)
	client, j := s.connect("")
	frame := []byte(strings.Repeat("x", 50_000))
	waiting, pushes := 0, 0
	for ; waiting == 0; pushes++ {
		waits, _ := j.Push([][]byte{frame})
		waiting += waits
	}
	for range pushes {
		read(t, client)
	}
	eventually(t, "the frame that waited to be written", func() bool { return j.written.Load() == int64(waiting) })
	eventually(t, "a frame to go out at once", func() bool {
		waits, ok := j.Push([][]byte{[]byte("small")})
		if got := read(t, client); got != "small" || !ok {
			t.Fatalf("got %q", got)
		}
		return waits == 0
	})
}

// TestTLS: where a write cannot be tried without waiting, all frames wait, and all arrive.
func TestTLS(t *testing.T) {
	s := newServed(t, 10)
	s.url = "wss" + strings.TrimPrefix(s.secure.URL, "https")
	client, j := s.connect("?hello=first")
	if got := read(t, client); got != "first" {
		t.Errorf("got %q, want what was pushed while joining", got)
	}
	for i := range 100 {
		if waits, ok := j.Push([][]byte{fmt.Appendf(nil, "frame %d", i)}); waits != 1 || !ok {
			t.Fatalf("waits %d, ok %v", waits, ok)
		}
	}
	for i := range 100 {
		if got, want := read(t, client), fmt.Sprintf("frame %d", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	j.Close([]byte("bye"), 1012, "restarting")
	if got := read(t, client); got != "bye" {
		t.Errorf("got %q, want bye", got)
	}
	wantClose(t, client, 1012, "restarting")
	received(t, "leave", j.left)
}

// TestClose says bye and the code, once; then nothing more is taken, and the socket is
// gone from the count.
func TestClose(t *testing.T) {
	s := newServed(t, 10)
	client, j := s.connect("")
	j.Close([]byte("bye"), 1012, "restarting")
	j.Close([]byte("again"), 1001, "again")
	if pushed(j.Conn, []byte("late")) {
		t.Error("a frame was taken after the close")
	}
	if got := read(t, client); got != "bye" {
		t.Errorf("got %q, want bye", got)
	}
	wantClose(t, client, 1012, "restarting")
	received(t, "leave", j.left)
	eventually(t, "the count to fall", func() bool { return s.Count() == 0 })

	client, j = s.connect("")
	j.Close(nil, 4009, "slow")
	wantClose(t, client, 4009, "slow")
	received(t, "leave", j.left)
}

// TestClientData is not taken: 1003, whatever kind it is. Pings are answered.
func TestClientData(t *testing.T) {
	s := newServed(t, 10)
	for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
		client, j := s.connect("")
		pong := make(chan string, 1)
		client.SetPongHandler(func(text string) error { pong <- text; return nil })
		must(t, client.WriteControl(websocket.PingMessage, []byte("p"), time.Now().Add(patience)))
		must(t, client.WriteMessage(kind, []byte("hi")))
		wantClose(t, client, 1003, "this socket only pushes; send by REST")
		if got := received(t, "the pong, which came before", pong); got != "p" {
			t.Errorf("pong %q", got)
		}
		received(t, "leave", j.left)
	}
	client, j := s.connect("")
	must(t, client.WriteMessage(websocket.TextMessage, make([]byte, maxClientFrame+1)))
	wantClose(t, client, 1003, "this socket only pushes; send by REST")
	received(t, "leave", j.left)
}

// TestOneGoroutine: an idle socket has one, which reads.
func TestOneGoroutine(t *testing.T) {
	s := newServed(t, 10)
	client, _ := s.connect("?hello=first")
	read(t, client)
	eventually(t, "melody's write pump to end", func() bool {
		var stacks strings.Builder
		must(t, pprof.Lookup("goroutine").WriteTo(&stacks, 1))
		if !strings.Contains(stacks.String(), "readPump") {
			t.Fatal("nobody reads")
		}
		return !strings.Contains(stacks.String(), "writePump")
	})
}

// TestPing: the client's answer arrives, from which melody counts the silence anew; a client that
// is silent for too long is gone.
func TestPing(t *testing.T) {
	s := newServed(t, 10)
	pongs := make(chan struct{}, 1)
	s.melody.HandlePong(func(*melody.Session) { pongs <- struct{}{} })
	client, j := s.connect("")
	j.Ping()
	j.Push([][]byte{[]byte("after the ping")})
	if got := read(t, client); got != "after the ping" {
		t.Errorf("got %q", got)
	}
	received(t, "the answer to the ping", pongs)

	s.melody.Config.PongWait = 50 * time.Millisecond
	_, j = s.connect("") // reads nothing, answers nothing
	received(t, "leave", j.left)
}

// TestClientGone: an orderly close, and a connection that just ends, are noticed.
func TestClientGone(t *testing.T) {
	s := newServed(t, 10)
	client, j := s.connect("")
	must(t, client.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience)))
	wantClose(t, client, 1000, "")
	received(t, "leave", j.left)

	client, j = s.connect("")
	must(t, client.NetConn().Close())
	received(t, "leave", j.left)
	eventually(t, "a push to be refused", func() bool { return !pushed(j.Conn, []byte("x")) })
	j.Close([]byte("bye"), 1001, "")
	eventually(t, "the count to fall", func() bool { return s.Count() == 0 })
}

// TestLimit: beyond it nobody is upgraded, and nobody is counted.
func TestLimit(t *testing.T) {
	s := newServed(t, 2)
	_, first := s.connect("")
	s.connect("")
	if _, _, err := s.dial("", nil); err == nil {
		t.Fatal("a third one was let in")
	}
	if err := received(t, "the refusal", s.answers); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	first.Close(nil, 1000, "")
	received(t, "leave", first.left)
	eventually(t, "room", func() bool { return s.Count() == 1 })
	s.connect("")
}

// TestRefusedHandshakes are answered, and leave nothing behind.
func TestRefusedHandshakes(t *testing.T) {
	s := newServed(t, 10)
	_, status, err := s.dial("", http.Header{"Origin": {"https://evil.example"}})
	if err == nil || status != http.StatusForbidden {
		t.Errorf("a foreign origin: %d, %v, want 403", status, err)
	}
	if received(t, "the answer", s.answers) == nil {
		t.Error("Serve says that a refused handshake joined")
	}
	client, _, err := s.dial("", http.Header{"Origin": {"https://app.example"}})
	must(t, err)
	must(t, received(t, "the answer", s.answers))
	received(t, "the join", s.joined).Close(nil, 1000, "")
	wantClose(t, client, 1000, "")

	plain, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http"+strings.TrimPrefix(s.url, "ws"), http.NoBody)
	must(t, err)
	response, err := http.DefaultClient.Do(plain)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("no upgrade: %s, want 400", response.Status)
	}
	if received(t, "the answer", s.answers) == nil {
		t.Error("Serve says that a plain request joined")
	}
	eventually(t, "the count to fall", func() bool { return s.Count() == 0 })
	if len(s.joined) != 0 {
		t.Error("one joined without a handshake")
	}
}

// TestHubClose waits for the sockets that their owners close, and cuts the rest when
// its ctx ends; nobody comes in any more.
func TestHubClose(t *testing.T) {
	s := newServed(t, 100)
	var polite []*websocket.Conn
	var all []*joined
	for range 10 {
		client, j := s.connect("")
		polite = append(polite, client)
		all = append(all, j)
	}
	_, deaf := s.connect("") // never reads and never goes
	all = append(all, deaf)

	ctx, cut := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	go func() { closed <- s.Close(ctx) }()
	eventually(t, "the hub to refuse", func() bool {
		_, _, err := s.dial("", nil)
		answer := received(t, "the answer", s.answers)
		if err == nil { // came in just before
			received(t, "the join", s.joined).Close(nil, 1001, "")
		}
		return errors.Is(answer, ErrClosing)
	})
	for i, client := range polite {
		all[i].Close([]byte("bye"), 1012, "restarting")
		if got := read(t, client); got != "bye" {
			t.Errorf("got %q, want bye", got)
		}
		wantClose(t, client, 1012, "restarting")
	}
	eventually(t, "the polite ones to go", func() bool { return s.Count() == 1 })
	select {
	case err := <-closed:
		t.Fatalf("did not wait for the last socket: %v", err)
	default:
	}
	cut()
	must(t, received(t, "the hub to be closed", closed))
	for _, j := range all {
		select {
		case <-j.left:
		default:
			t.Error("the hub was closed before a socket's leave had been called")
		}
	}
	if s.Count() != 0 {
		t.Errorf("%d sockets are counted", s.Count())
	}
}

// TestRace: pushes, closes, clients that go and a hub that closes, all at once.
func TestRace(t *testing.T) {
	s := newServed(t, 100)
	var group sync.WaitGroup
	for i := range 40 {
		client, j := s.connect("")
		group.Go(func() {
			for n := range 50 {
				if !pushed(j.Conn, []byte("x")) {
					return
				}
				if n == 20+i%20 {
					switch i % 3 {
					case 0:
						j.Close([]byte("bye"), 1001, "")
					case 1:
						if err := client.NetConn().Close(); err != nil {
							t.Error(err)
						}
					}
				}
			}
		})
		group.Go(func() {
			for {
				if _, _, err := client.ReadMessage(); err != nil {
					return
				}
			}
		})
	}
	eventually(t, "some to have gone", func() bool { return s.Count() < 30 })
	ended, end := context.WithCancel(t.Context())
	end()
	must(t, s.Close(ended))
	group.Wait()
}
