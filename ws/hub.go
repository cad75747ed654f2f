// Package ws is the sockets of this node and nothing else: it upgrades, writes, closes
// and counts. What is pushed to whom is service.Delivery's business.
package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"
)

// Settings of a socket. Small on purpose: ten thousand idle ones live in one process.
const (
	socketBuffer = 256 // bytes, for reading
	// maxClientFrame bounds what is read of a client's data frame before it is told that data is
	// not accepted: of a larger one nothing.
	maxClientFrame = 128 << 10
	writeWait      = 20 * time.Second // above service's SlowTimeout, so that 4009 comes first

	closeProtocolError   = 1002
	closeUnsupportedData = 1003

	pushOnly = "this socket only pushes; send by REST"
)

// Subprotocol is what browsers name beside their ticket.
const Subprotocol = "ackbox.v1"

// Session is what the hub tells a socket's owner.
type Session interface {
	// Written is called after a pushed frame that had to wait has been written.
	Written()
}

// Hub is all sockets of this node.
type Hub struct {
	melody *melody.Melody
	log    *slog.Logger
	limit  int64 // most sockets at once
	open   atomic.Int64
	done   sync.WaitGroup

	mu      sync.Mutex
	closing bool
}

// NewHub makes a hub of at most limit sockets. A socket from which nothing comes for silence, not
// even answers to pings, is gone. checkOrigin says whether a browser's Origin may connect.
func NewHub(limit int, silence time.Duration, checkOrigin func(*http.Request) bool, log *slog.Logger) *Hub {
	h := &Hub{melody: melody.New(), log: log, limit: int64(limit)}
	h.melody.Config.PongWait = silence
	h.melody.Config.MaxMessageSize = maxClientFrame
	h.melody.Config.MessageBufferSize = 1 // see endPump
	h.melody.Upgrader = &websocket.Upgrader{
		HandshakeTimeout: 10 * time.Second,
		ReadBufferSize:   socketBuffer,
		WriteBufferSize:  1024,
		WriteBufferPool:  &sync.Pool{},
		Subprotocols:     []string{Subprotocol},
		CheckOrigin:      checkOrigin,
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			http.Error(w, reason.Error(), status) // the API answers all that can be said before
		},
	}
	refuse := func(s *melody.Session, _ []byte) {
		connOf(s).Close(nil, closeUnsupportedData, pushOnly)
	}
	h.melody.HandleConnect(func(s *melody.Session) {
		u, _ := s.Request.Context().Value(upgradeKey{}).(*upgrade)
		s.Request = nil // headers and body are not needed any more: they are kilobytes
		endPump(s)
		u.done <- nil
		<-u.joined
	})
	h.melody.HandleMessage(refuse)
	h.melody.HandleMessageBinary(refuse)
	h.melody.HandleError(func(s *melody.Session, err error) {
		var closed *websocket.CloseError
		var broken net.Error
		switch {
		case errors.Is(err, websocket.ErrReadLimit):
			connOf(s).Close(nil, closeUnsupportedData, pushOnly)
		case errors.As(err, &closed), errors.As(err, &broken), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, websocket.ErrCloseSent):
		default: // gorilla has no type for what breaks the protocol
			connOf(s).Close(nil, closeProtocolError, strings.TrimPrefix(err.Error(), "websocket: "))
		}
		connOf(s).ended() // the reader goes now, and the connection with it
	})
	return h
}

// endPump ends melody's write pump as soon as it starts: its goroutine and its ticker are a third of
// an idle socket's memory, and a Conn writes by itself. The pump ends with the close frame that is
// its first message; neither that nor its closing of the connection reaches the wire, which has
// taken the answer to the handshake and nothing else from gorilla. So control frames are ours.
func endPump(s *melody.Session) {
	if err := s.Close(); err != nil {
		panic("a session that has just been made: " + err.Error())
	}
	c := connOf(s)
	c.wire.upgraded.Store(true)
	s.WebsocketConnection().SetPingHandler(func(data string) error { return c.answer(opPong, []byte(data)) })
	s.WebsocketConnection().SetCloseHandler(func(code int, _ string) error {
		c.Close(nil, code, "")
		return nil
	})
}

// connOf is the socket of a melody session: its connection is the Conn's wire.
func connOf(s *melody.Session) *Conn {
	w, _ := s.WebsocketConnection().NetConn().(*wire)
	return w.conn
}

// ErrFull means that the node has as many sockets as it may.
var ErrFull = errors.New("too many sockets on this node")

// ErrClosing means that the hub takes no more sockets.
var ErrClosing = errors.New("this node is stopping")

// Serve upgrades a request and returns when the socket is connected; the socket lives
// on in a goroutine of the hub, without the handler's stack. join is called once with the
// connected socket and answers its owner and what to do when it is gone. An error
// means that no join happened: ErrFull, ErrClosing, or a failed handshake that has
// been answered.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, join func(*Conn) (owner Session, leave func())) error {
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return ErrClosing
	}
	if h.open.Load() >= h.limit {
		h.mu.Unlock()
		return ErrFull
	}
	h.open.Add(1)
	conn := &Conn{}
	conn.wire.conn, conn.wire.hub = conn, h
	u := &upgrade{done: make(chan error, 1), joined: make(chan struct{})}
	h.done.Go(func() {
		defer h.open.Add(-1)
		h.live(w, r, conn, u)
	})
	h.mu.Unlock()
	if err := <-u.done; err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	defer func() {
		if u.leave == nil { // a panic
			conn.cut()
		}
		close(u.joined)
	}()
	owner, leave := join(conn)
	conn.joined(owner)
	u.leave = leave
	return nil
}

// upgrade is what a request's goroutine and its socket's tell each other.
type upgrade struct {
	done   chan error    // the handshake is over; nil: the socket waits for joined
	joined chan struct{} // leave is set
	leave  func()        // what to do when the socket is gone
}

// upgradeKey is what melody's connect handler finds it by.
type upgradeKey struct{}

// live is a socket's life. It joins in the request's goroutine, whose stack is large already and
// ends: this one's would grow, and keep what it has grown by for as long as the socket lives.
func (h *Hub) live(w http.ResponseWriter, r *http.Request, conn *Conn, u *upgrade) {
	defer conn.cut()
	err := h.melody.HandleRequest(hijacker{w, &conn.wire}, r.WithContext(context.WithValue(r.Context(), upgradeKey{}, u)))
	if u.leave != nil {
		u.leave()
		return
	}
	u.done <- errors.Join(err, errNotConnected)
}

var errNotConnected = errors.New("the socket was not connected")

// Full says whether there is room for another socket now.
func (h *Hub) Full() bool { return h.open.Load() >= h.limit }

// Count is how many sockets are open.
func (h *Hub) Count() int { return int(h.open.Load()) }

// Close takes no more sockets and waits until all have gone, or ctx ends; then it
// cuts what is left. Their owners close them first.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	gone := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { h.done.Wait(); close(gone) })
	defer watch.Wait()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	sessions, err := h.melody.Sessions()
	if err != nil {
		return fmt.Errorf("list sockets: %w", err)
	}
	for _, s := range sessions {
		connOf(s).cut()
	}
	<-gone
	return nil
}
