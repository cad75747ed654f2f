package ws

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
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

// quietConn counts the writes to a connection.
type quietConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *quietConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b) //nolint:wrapcheck // as it is
}

// TestCutOfTLSDoesNotWait: TLS would say goodbye first, and wait for a peer that reads nothing, with the socket's lock
// held; a hub that ends would wait so for each of them.
func TestCutOfTLSDoesNotWait(t *testing.T) {
	s := newServed(t, 1)
	ours, theirs := net.Pipe() // which takes nothing that is not read
	counted := &quietConn{Conn: ours}
	must(t, ours.SetDeadline(time.Now().Add(patience)))
	must(t, theirs.SetDeadline(time.Now().Add(patience)))
	roots := x509.NewCertPool()
	roots.AddCert(s.secure.Certificate())
	server := tls.Server(counted, &tls.Config{Certificates: s.secure.TLS.Certificates, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true})
	client := tls.Client(theirs, &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12})
	shaken := make(chan error, 1)
	go func() { shaken <- client.HandshakeContext(t.Context()) }()
	must(t, server.HandshakeContext(t.Context()))
	must(t, received(t, "the handshake", shaken))

	conn := &Conn{}
	conn.wire.conn, conn.wire.hub, conn.wire.Conn = conn, s.Hub, server
	before := counted.writes.Load()
	conn.cut()
	if n := counted.writes.Load() - before; n != 0 {
		t.Errorf("cutting wrote %d times", n)
	}
	if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the other end got %v, want the end", err)
	}
	must(t, theirs.Close())
}
