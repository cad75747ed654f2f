package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	socketReadBuffer  = 1 << 10
	socketWriteBuffer = 256 // pongs and close frames only
	maxFrameSize      = 1 << 20
)

var socketWriters sync.Pool

// refusal is the server's plain HTTP answer to an upgrade.
type refusal struct{ answer answer }

func (r *refusal) Error() string { return "socket refused: " + label(r.answer) }

// openSocket opens a push socket for one of the user's devices. The source address is nil unless the machine's ports of one
// address don't suffice. The socket is closed when the context ends; the returned function closes it before that.
func openSocket(ctx context.Context, u *User, query url.Values, source net.IP) (*websocket.Conn, func(), error) {
	netDialer := net.Dialer{Timeout: dialTimeout}
	if source != nil {
		netDialer.LocalAddr = &net.TCPAddr{IP: source}
	}
	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return netDialer.DialContext(ctx, network, u.target.addr)
		},
		HandshakeTimeout: dialTimeout,
		ReadBufferSize:   socketReadBuffer,
		WriteBufferSize:  socketWriteBuffer,
		WriteBufferPool:  &socketWriters,
	}
	ws, resp, err := dialer.DialContext(ctx, u.target.socketURL(query), http.Header{"Authorization": {"Bearer " + u.access}})
	if err != nil {
		if resp == nil {
			return nil, nil, err
		}
		return nil, nil, refused(resp, err)
	}
	ws.SetReadLimit(maxFrameSize)
	release := context.AfterFunc(ctx, func() { ws.NetConn().Close() }) //nolint:errcheck // it wakes the reader, which reports the end
	return ws, func() {
		release()
		ws.Close() //nolint:errcheck // nothing is buffered for writing, and the peer may have gone already
	}, nil
}

// refused is the refusal that an answer tells, or err and what kept us from reading it.
func refused(resp *http.Response, err error) error {
	defer resp.Body.Close()
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	a := answer{Status: resp.StatusCode, Body: body}
	if n, ok := parseUint([]byte(resp.Header.Get("Retry-After"))); ok && n < 1<<20 {
		a.RetryAfter = time.Duration(n) * time.Second
	}
	return &refusal{answer: a}
}

// closed names the end of a socket in the error counts.
func closed(err error) string {
	if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
		return "socket closed " + strconv.Itoa(ce.Code)
	}
	if ce, ok := errors.AsType[*closeError](err); ok {
		return "socket closed " + strconv.Itoa(ce.code)
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return "socket refused " + label(refused.answer)
	}
	return "socket broken"
}

// readFrame reads the next data frame into buf, growing it when needed.
func readFrame(ws *websocket.Conn, buf []byte) ([]byte, error) {
	kind, r, err := ws.NextReader()
	if err != nil {
		return buf, err
	}
	if kind != websocket.TextMessage {
		return buf, fmt.Errorf("frame of kind %d: the contract has text frames only", kind)
	}
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), max(1024, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}
