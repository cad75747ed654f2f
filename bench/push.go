package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	pushReadBuffer = 4 << 10 // several pushes
	controlWait    = 5 * time.Second
)

var errFrame = errors.New("malformed WebSocket frame")

// pushSocket is a push socket that costs the generator as little as can be: one system call takes all the frames that have
// come. It knows what the contract has: whole text frames, pings, close. One goroutine uses it.
type pushSocket struct {
	nc       net.Conn
	end      func()
	buf      []byte // what came and is not handled yet is buf[from:to]
	from, to int
}

// closeError is the close frame that ended a push socket.
type closeError struct{ code int }

func (e *closeError) Error() string { return fmt.Sprintf("socket closed %d", e.code) }

// openPushSocket is openSocket for a pushSocket. The socket is closed when the context ends, or by its end.
func openPushSocket(ctx context.Context, u *User, query url.Values, source net.IP) (*pushSocket, error) {
	nc, err := u.target.dialFrom(ctx, source)
	if err != nil {
		return nil, err
	}
	return upgrade(ctx, nc, u, query)
}

// upgrade makes a push socket of a connection, which is closed when that fails.
func upgrade(ctx context.Context, nc net.Conn, u *User, query url.Values) (_ *pushSocket, err error) {
	release := context.AfterFunc(ctx, func() { nc.Close() }) //nolint:errcheck // it wakes the reader, which reports the end
	end := func() {
		release()
		nc.Close() //nolint:errcheck // nothing is buffered for writing, and the peer may have gone already
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	nonce := make([]byte, 16)
	rand.Read(nonce) // it never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	if err := nc.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	request := "GET " + u.target.prefix + "/v1/ws?" + query.Encode() + " HTTP/1.1\r\nHost: " + u.target.host +
		"\r\nUser-Agent: ackbox-bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key +
		"\r\nAuthorization: Bearer " + u.access + "\r\n\r\n"
	if _, err := nc.Write([]byte(request)); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(nc, pushReadBuffer)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, refused(resp, errors.New("no upgrade"))
	}
	defer resp.Body.Close()
	hash := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // the WebSocket handshake names it
	if resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(hash[:]) || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
		return nil, fmt.Errorf("upgrade: %w", errMalformed)
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	s := &pushSocket{nc: nc, end: end, buf: make([]byte, pushReadBuffer)}
	early, err := br.Peek(br.Buffered()) // frames that came with the answer
	if err != nil {
		return nil, err
	}
	s.to = copy(s.buf, early)
	return s, nil
}

// serve gives the text of each frame to take until the socket ends, take fails or the context given at opening ends, and
// returns why. The text is valid until take returns.
func (s *pushSocket) serve(take func(text []byte) error) error {
	if err := s.frames(take); err != nil {
		return err
	}
	return drain(s.nc, s.room, func(n int) error {
		s.to += n
		return s.frames(take)
	})
}

// room is where the next read goes. frames has moved the beginning of an unfinished frame to the front.
func (s *pushSocket) room() []byte { return s.buf[s.to:] }

// frames handles the whole frames that have come and makes room for the rest of the next.
func (s *pushSocket) frames(take func(text []byte) error) error {
	for {
		have := s.buf[s.from:s.to]
		kind, begin, size, err := frameHeader(have)
		if err != nil {
			return err
		}
		if begin == 0 || len(have) < begin+size {
			s.to = copy(s.buf, have)
			s.from = 0
			if need := begin + size; need > len(s.buf) {
				s.buf = append(s.buf, make([]byte, need-len(s.buf))...)
			}
			return nil
		}
		payload := have[begin : begin+size]
		s.from += begin + size
		switch kind {
		case 0x1:
			if err := take(payload); err != nil {
				return err
			}
		case 0x8:
			code := 1005 // none given
			if size >= 2 {
				code = int(binary.BigEndian.Uint16(payload))
			}
			return &closeError{code: code}
		case 0x9:
			if err := s.pong(payload); err != nil {
				return err
			}
		case 0xA:
		default:
			return fmt.Errorf("%w: kind %d", errFrame, kind)
		}
	}
}

// frameHeader reads an unmasked, unfragmented frame's header; begin is 0 when it has not come completely.
func frameHeader(b []byte) (kind byte, begin, size int, err error) {
	if len(b) < 2 {
		return 0, 0, 0, nil
	}
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		return 0, 0, 0, fmt.Errorf("%w: begins %#x %#x", errFrame, b[0], b[1])
	}
	kind, begin, size = b[0]&0x0f, 2, int(b[1])
	switch size {
	case 126:
		if len(b) < 4 {
			return 0, 0, 0, nil
		}
		begin, size = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return 0, 0, 0, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n > maxFrameSize {
			return 0, 0, 0, fmt.Errorf("%w: %d bytes", errFrame, n)
		}
		begin, size = 10, int(n)
	}
	return kind, begin, size, nil
}

// pong answers a ping. A client's frames are masked; a mask of zeros leaves the payload as it is.
func (s *pushSocket) pong(payload []byte) error {
	frame := append([]byte{0x8A, 0x80 | byte(len(payload)&0x7f), 0, 0, 0, 0}, payload...)
	if err := s.nc.SetWriteDeadline(time.Now().Add(controlWait)); err != nil {
		return err
	}
	_, err := s.nc.Write(frame)
	return err
}

// drainPlain is drain for any connection.
func drainPlain(nc net.Conn, fill func() []byte, take func(n int) error) error {
	for {
		n, err := nc.Read(fill())
		if n > 0 {
			if err := take(n); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
