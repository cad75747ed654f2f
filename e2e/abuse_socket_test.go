package e2e

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/client"
)

// foreignPages: a page of another site that got hold of a ticket, or rides on nothing but the victim's network, opens no
// socket; the ticket it tried stays the victim's.
func foreignPages(t *testing.T, s *system) {
	bob := s.user(t)
	host := strings.TrimPrefix(s.client.Base(), "http://")
	for _, origin := range []string{"https://evil.example", "null", "file://", "http://" + host + "@evil.example", "http://" + host + ".evil.example", "http://evil.example#" + host, host} {
		ticket, err := bob.Ticket(within(t, patience))
		if err != nil {
			t.Fatal(err)
		}
		for name, dial := range map[string]client.Dial{
			"query":       {Device: "browser", Ticket: ticket.Ticket, Origin: origin},
			"subprotocol": {Device: "browser", TicketProtocol: ticket.Ticket, Origin: origin},
			"nothing":     {Device: "browser", Origin: origin},
		} {
			_, err = s.client.Connect(within(t, patience), "", dial)
			if err == nil {
				t.Fatalf("origin %s connected with a ticket in %s", origin, name)
			}
			refused(t, err, "origin_not_allowed", http.StatusForbidden)
		}
		// Not a browser: no Origin at all.
		socket, err := s.client.Connect(within(t, patience), "", client.Dial{Device: "program", Ticket: ticket.Ticket})
		if err != nil {
			t.Fatalf("origin %s used the ticket up: %v", origin, err)
		}
		greeted(t, socket)
	}
	answer, err := s.client.Do(within(t, patience), client.Request{Method: http.MethodGet, Path: "/v1/users/me", Token: bob.AccessToken, Header: http.Header{"Origin": {"https://evil.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	if allowed := answer.Header.Get("Access-Control-Allow-Origin"); allowed != "" {
		t.Errorf("a foreign page may read answers: Access-Control-Allow-Origin %q", allowed)
	}
	if credentials := answer.Header.Get("Access-Control-Allow-Credentials"); credentials != "" || answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("there are ambient credentials: %v", answer.Header)
	}
}

// racingTicket: of fifty uses of one ticket at once, one wins.
func racingTicket(t *testing.T, s *system) {
	bob := s.user(t)
	ticket, err := bob.Ticket(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	const racers = 50
	sockets := make([]*client.Socket, racers)
	refusals := make([]error, racers)
	var group errgroup.Group
	ctx := within(t, 2*patience)
	for i := range racers {
		group.Go(func() error {
			sockets[i], refusals[i] = s.client.Connect(ctx, "", client.Dial{Device: fmt.Sprintf("racer-%d", i), Ticket: ticket.Ticket})
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	won := 0
	for i, socket := range sockets {
		if socket != nil {
			won++
			greeted(t, socket)
			continue
		}
		refused(t, refusals[i], "unauthenticated", http.StatusUnauthorized)
	}
	if won != 1 {
		t.Errorf("%d of %d uses of one ticket connected, want 1", won, racers)
	}
}

// Opcodes and bits of RFC 6455, section 5.2.
const (
	opContinuation, opText, opPing, opPong = 0x0, 0x1, 0x9, 0xA

	finalBit, reservedBit, maskBit = 0x80, 0x40, 0x80
)

// wire is a socket without a library in between, for what no library sends.
type wire struct {
	net.Conn
	in *bufio.Reader
}

// rawSocket opens a socket by hand.
func (a *actor) rawSocket(t *testing.T, device string) *wire {
	t.Helper()
	address, err := url.Parse(a.Client().Base())
	if err != nil {
		t.Fatal(err)
	}
	conn := dialRaw(t, address.Host)
	fmt.Fprintf(conn, "GET /v1/ws?device_id=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", device, address.Host, a.AccessToken)
	w := &wire{Conn: conn, in: bufio.NewReader(conn)}
	for line := ""; line != "\r\n"; { // the answer to the upgrade, to its blank line
		if line, err = w.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "HTTP/") && !strings.HasPrefix(line, "HTTP/1.1 101 ") {
			t.Fatalf("upgrade: %s", line)
		}
	}
	if op, payload := w.frame(t); op != opText || !strings.Contains(string(payload), `"hello"`) {
		t.Fatalf("first frame is %d %.100s, want hello", op, payload)
	}
	return w
}

// dialRaw connects; the connection ends with the test, and no wait on it is endless.
func dialRaw(t *testing.T, host string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// masked is a client's frame; first has the final and reserved bits and the opcode.
func masked(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, maskBit|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, maskBit|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, maskBit|127), uint64(n))
	}
	frame = append(frame, 0, 0, 0, 0) // a mask of zeros leaves the payload as it is
	return append(frame, payload...)
}

// frame is the server's next one.
func (w *wire) frame(t *testing.T) (op byte, payload []byte) {
	t.Helper()
	op, payload, err := w.next()
	if err != nil {
		t.Fatalf("next frame: %v", err)
	}
	return op, payload
}

func (w *wire) next() (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return 0, nil, fmt.Errorf("head: %w", err)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var length [2]byte
		if _, err := io.ReadFull(w.in, length[:]); err != nil {
			return 0, nil, fmt.Errorf("length: %w", err)
		}
		n = uint64(binary.BigEndian.Uint16(length[:]))
	case 127:
		return 0, nil, errors.New("a frame beyond 64 KiB")
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(w.in, payload); err != nil {
		return 0, nil, fmt.Errorf("payload: %w", err)
	}
	return head[0] & 0xF, payload, nil
}

// closedWith is the close code with which the server ends the socket, 0 when it ends without one.
func (w *wire) closedWith(t *testing.T) int {
	t.Helper()
	for {
		op, payload, err := w.next()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			t.Fatal("the server keeps the socket open")
		case err != nil:
			return 0
		case op == 0x8 && len(payload) >= 2:
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

// brokenFrames: what a client may not send ends its own socket, and only that.
func brokenFrames(t *testing.T, s *system) {
	bob := s.user(t)
	other := bob.openLive("other")
	join := func(frames ...[]byte) (all []byte) {
		for _, frame := range frames {
			all = append(all, frame...)
		}
		return all
	}
	fragment := []byte(strings.Repeat("f", 1000))
	for name, c := range map[string]struct {
		bytes []byte
		codes []int
	}{
		"a data frame":             {masked(finalBit|opText, []byte(`{"type":"message"}`)), []int{1003}},
		"fragmented data":          {join(masked(opText, fragment), masked(opContinuation, fragment), masked(finalBit|opContinuation, fragment)), []int{1003}},
		"a ping between fragments": {join(masked(opText, fragment), masked(finalBit|opPing, []byte("x")), masked(finalBit|opContinuation, fragment)), []int{1003}},
		"empty fragments":          {join(masked(opText, nil), masked(opContinuation, nil), masked(finalBit|opContinuation, nil)), []int{1003}},
		"text that is no UTF-8":    {masked(finalBit|opText, []byte{0xff, 0xfe}), []int{1003, 1007}},
		"data beyond the bound":    {masked(finalBit|opText, make([]byte, 1<<20)), []int{1003, 0}},
		"a length of 2^63-1":       {[]byte{finalBit | opText, maskBit | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, []int{1002, 1003, 0}},
		"a negative length":        {[]byte{finalBit | opText, maskBit | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, []int{1002, 1003, 0}},
		"an oversized ping":        {masked(finalBit|opPing, make([]byte, 126)), []int{1002}},
		"a fragmented ping":        {masked(opPing, []byte("x")), []int{1002}},
		"without a mask":           {[]byte{finalBit | opText, 2, 'h', 'i'}, []int{1002}},
		"a reserved bit":           {masked(finalBit|reservedBit|opText, []byte("x")), []int{1002}},
		"an unknown opcode":        {masked(finalBit|0x3, []byte("x")), []int{1002}},
		"a continuation of none":   {masked(finalBit|opContinuation, []byte("x")), []int{1002}},
		"a close code of none":     {masked(finalBit|0x8, []byte{0x03, 0xed}), []int{1002, 1005}}, // 1005 is never sent
		"a close of one byte":      {masked(finalBit|0x8, []byte{0x03}), []int{1002, 0}},
		"HTTP again":               {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), []int{1002, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := (&actor{Session: bob.Session, t: t}).rawSocket(t, "raw")
			if _, err := w.Write(c.bytes); err != nil {
				t.Logf("the server closed while it was written to: %v", err)
			}
			if code := w.closedWith(t); !contains(c.codes, code) {
				t.Errorf("closed with %d, want one of %v", code, c.codes)
			}
		})
	}
	other.alive()
}

// pingFlood: thousands of pings, and of pongs nobody asked for, disturb nobody: the flooder's pushes still come, in order.
func pingFlood(t *testing.T, s *system) {
	alice, bob := s.user(t), s.user(t)
	w := bob.rawSocket(t, "flooder")
	phone := bob.openLive("phone")
	var flood []byte
	for range 5_000 {
		flood = append(flood, masked(finalBit|opPing, []byte("flood"))...)
		flood = append(flood, masked(finalBit|opPong, nil)...)
	}
	flooded := make(chan error, 1)
	go func() { // ends with the connection, and is awaited
		_, err := w.Write(flood)
		flooded <- err
	}()
	alice.send(bob, "during the flood")
	phone.pushes(1, 1)
	bob.ack("phone", 1, 1)
	pushed := false
	for pongs := 0; !pushed || pongs == 0; {
		switch op, payload := w.frame(t); op {
		case opPong:
			pongs++
		case opText:
			pushed = pushed || strings.Contains(string(payload), "during the flood")
		}
	}
	if _, err := bob.Me(within(t, patience)); err != nil {
		t.Errorf("bob's calls during the flood: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-flooded; err != nil {
		t.Logf("the flood ended with its connection: %v", err)
	}
	phone.alive()
}
