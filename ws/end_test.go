package ws

import (
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestLastWordWaits: also where frames wait for flush, a client's close is answered and a mistake is told, and
// nothing comes after it.
func TestLastWordWaits(t *testing.T) {
	s := newServed(t, 10)
	s.url = "wss" + strings.TrimPrefix(s.secure.URL, "https")
	client, j := s.connect("")
	must(t, client.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience)))
	wantClose(t, client, 1000, "")
	if pushed(j.Conn, []byte("late")) {
		t.Error("a frame was taken after the close")
	}
	received(t, "leave", j.left)

	client, j = s.connect("")
	_, err := client.NetConn().Write([]byte{0x80 | 0x70 | opText, 0x80, 0, 0, 0, 0}) // bits that nobody has agreed on
	must(t, err)
	if _, _, err := client.ReadMessage(); !websocket.IsCloseError(err, closeProtocolError) {
		t.Errorf("got %v, want close %d", err, closeProtocolError)
	}
	received(t, "leave", j.left)
}
