package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// pushServer upgrades every request and lets a test write to the socket.
func pushServer(t *testing.T, write func(ws *websocket.Conn)) *User {
	t.Helper()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close() //nolint:errcheck // it may have ended already
		write(ws)
	}))
	t.Cleanup(func() {
		<-done
		server.Close()
	})
	target, err := parseTarget(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &User{target: target, access: "x"}
}

func TestPushSocketTakesEveryFrame(t *testing.T) {
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprintf(`{"type":"message","n":%d,"x":%q}`, i, strings.Repeat("x", i*i%9000))) // up to twice the buffer, all header sizes
	}
	want = append(want, strings.Repeat("y", 70000))
	ponged := make(chan string, 1)
	u := pushServer(t, func(ws *websocket.Conn) {
		ws.SetPongHandler(func(text string) error { ponged <- text; return nil })
		for i, text := range want {
			if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
				t.Error(err)
			}
			if i == 100 {
				if err := ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(5*time.Second)); err != nil {
					t.Error(err)
				}
			}
		}
		if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4009, "slow"), time.Now().Add(5*time.Second)); err != nil {
			t.Error(err)
		}
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
		}
	})
	s, err := openPushSocket(t.Context(), u, url.Values{"device_id": {"x"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.serve(func(text []byte) error {
		if n >= len(want) || string(text) != want[n] {
			t.Fatalf("frame %d is %.80q", n, text)
		}
		n++
		return nil
	})
	if ce, ok := errors.AsType[*closeError](err); n != len(want) || !ok || ce.code != 4009 || closed(err) != "socket closed 4009" {
		t.Errorf("got %d frames and %v, want %d and code 4009", n, err, len(want))
	}
	s.end()
	if got := <-ponged; got != "are you there" {
		t.Errorf("got pong %q", got)
	}
}

func TestPushSocketEndsWithItsTaker(t *testing.T) {
	u := pushServer(t, func(ws *websocket.Conn) {
		if err := ws.WriteMessage(websocket.TextMessage, []byte("{}")); err != nil {
			t.Error(err)
		}
		if _, _, err := ws.ReadMessage(); err == nil {
			t.Error("want the end of the socket")
		}
	})
	s, err := openPushSocket(t.Context(), u, nil, net.IPv4(127, 0, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	if from := s.nc.LocalAddr().String(); !strings.HasPrefix(from, "127.0.0.7:") {
		t.Errorf("comes from %s", from)
	}
	enough := errors.New("enough")
	if err := s.serve(func([]byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	s.end()
}

func TestPushSocketRefused(t *testing.T) {
	f := newFakeService(t)
	target, err := parseTarget(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openPushSocket(t.Context(), &User{target: target, access: "nobody"}, url.Values{"device_id": {"x"}}, nil)
	if got := closed(err); got != "socket refused 401 unauthenticated" {
		t.Errorf("got %q from %v", got, err)
	}
}

func TestFrameHeader(t *testing.T) {
	for _, tc := range []struct {
		b           []byte
		begin, size int
		bad         bool
	}{
		{b: nil}, {b: []byte{0x81}}, {b: []byte{0x81, 5}, begin: 2, size: 5}, {b: []byte{0x81, 126, 1}},
		{b: []byte{0x81, 126, 1, 2}, begin: 4, size: 258}, {b: []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0}},
		{b: []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, begin: 10, size: 65536},
		{b: append([]byte{0x81, 127}, bytes.Repeat([]byte{255}, 8)...), bad: true},
		{b: []byte{0x01, 5}, bad: true}, {b: []byte{0x81, 0x85}, bad: true}, {b: []byte{0xc1, 5}, bad: true},
	} {
		_, begin, size, err := frameHeader(tc.b)
		if begin != tc.begin || size != tc.size || (err != nil) != tc.bad {
			t.Errorf("%x: got %d, %d, %v", tc.b, begin, size, err)
		}
	}
}
