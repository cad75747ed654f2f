package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"ackbox/client"
)

// slowReader: a device that doesn't read holds up nobody, is told or closed, and loses nothing.
func slowReader(t *testing.T, s *system) {
	const messages, size = 300, 40_000 // 12 MB, and more entries than may be in flight
	alice, bob := s.user(t), s.user(t)
	slow := bob.openUnread(s, "slow")
	quick := bob.openLive("quick")

	text := strings.Repeat("x", size)
	for n := int64(1); n <= messages; n++ {
		alice.sendDraft(client.Draft{
			ClientMsgID: uuid.NewString(), ToUserID: bob.id(), Type: "text", Body: map[string]any{"text": fmt.Sprint(n)}, Ext: map[string]any{"x": text},
		})
		quick.pushes(n, n)
		bob.ack("quick", n, n)
	}

	// What the slow device finds when it reads at last: pushes without a hole, then behind or the end, and never more.
	if err := slow.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := int64(0)
	for {
		var frame client.Frame
		err := slow.ReadJSON(&frame)
		var closed *websocket.CloseError
		var timeout net.Error
		switch {
		case errors.As(err, &closed):
			if code := closed.Code; code != 4009 && code != 4008 && code != websocket.CloseAbnormalClosure {
				t.Errorf("closed with %d, want 4009 or 4008", code)
			}
			t.Logf("closed with %d after %d pushes", closed.Code, got)
		case errors.As(err, &timeout) && timeout.Timeout():
			t.Fatalf("neither behind nor closed after %d pushes", got)
		case err != nil:
			t.Logf("cut off after %d pushes: %v", got, err)
		case frame.Type == "behind":
			t.Logf("behind after %d pushes", got)
		case frame.Type == "message" && frame.Seq > got+1:
			t.Fatalf("push %d after %d: a hole", frame.Seq, got)
		case frame.Type == "message" && frame.Seq == got+1:
			if got++; got < messages {
				continue
			}
			t.Logf("all %d were pushed: the buffers between took them", got)
		default:
			continue
		}
		break
	}
	if n := len(bob.wholeMailbox()); n != messages {
		t.Errorf("bob has %d entries, want %d", n, messages)
	}
}

// openUnread connects a device that reads only when the test does, over a link that holds little.
func (a *actor) openUnread(s *system, device string) *websocket.Conn {
	a.t.Helper()
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// Not less than a loopback segment: a smaller window is probed by timers, and the link itself would be the slow one.
		return conn, conn.(*net.TCPConn).SetReadBuffer(256 << 10)
	}}
	header := http.Header{"Authorization": {"Bearer " + a.AccessToken}}
	conn, _, err := dialer.DialContext(within(a.t, patience), s.server.WSURL+"/v1/ws?device_id="+device, header)
	if err != nil {
		a.t.Fatalf("connect: %v", err)
	}
	a.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			a.t.Error(err)
		}
	})
	return conn
}
