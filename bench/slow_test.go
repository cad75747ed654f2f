package bench

import (
	"errors"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A server that writes to a socket that nobody reads has to wait soon, or its buffers would not be what is measured.
func TestNarrowConnectionsFillUp(t *testing.T) {
	const enough = 256 << 10
	taken := make(chan int, 1)
	u := pushServer(t, func(ws *websocket.Conn) {
		n := 0
		for n < enough {
			if err := ws.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				t.Error(err)
			}
			if err := ws.WriteMessage(websocket.TextMessage, make([]byte, 4<<10)); err != nil {
				if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
					t.Errorf("the write ended with %v", err)
				}
				break
			}
			n += 4 << 10
		}
		taken <- n
	})
	nc, err := u.target.dialNarrow(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := upgrade(t.Context(), nc, u, url.Values{"device_id": {"x"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	if n := <-taken; n >= enough {
		t.Errorf("%d bytes were taken without anybody reading", n)
	} else {
		t.Logf("%d bytes were taken", n)
	}
	if err := s.nc.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Error(err)
	}
	if err := s.serve(func([]byte) error { return nil }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline ends the reading with %v", err)
	}
}
