// Package ws is the sockets of this node and nothing else: it upgrades, writes, closes
// and counts. What is pushed to whom is service.Delivery's business.
package ws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"
)

// Settings of a socket. Small on purpose: ten thousand idle ones live in one process.
const (
	// melodyFrames is melody's channel per socket, preallocated. It stays empty: a Conn writes
	// by itself, and melody reads, pings and answers pings.
	melodyFrames = 1
	socketBuffer = 256 // bytes, for reading; writing shares buffers from a pool
	// maxClientFrame bounds what a client may send: control frames; a data frame up to this
	// size is told that data is not accepted (1003), a larger one that it is too big (1009).
	maxClientFrame = 128 << 10
	writeWait      = 20 * time.Second // above service's SlowTimeout, so that 4009 comes first
	pongWait       = 75 * time.Second
	pingPeriod     = 30 * time.Second

	closeUnsupportedData = 1003
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

// NewHub makes a hub of at most limit sockets. checkOrigin says whether a browser's
// Origin may connect.
func NewHub(limit int, checkOrigin func(*http.Request) bool, log *slog.Logger) *Hub {
	h := &Hub{melody: melody.New(), log: log, limit: int64(limit)}
	h.melody.Config.WriteWait = writeWait
	h.melody.Config.PongWait = pongWait
	h.melody.Config.PingPeriod = pingPeriod
	h.melody.Config.MaxMessageSize = maxClientFrame
	h.melody.Config.MessageBufferSize = melodyFrames
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
		connOf(s).Close(nil, closeUnsupportedData, "this socket only pushes; send by REST")
	}
	h.melody.HandleConnect(func(s *melody.Session) {
		join, _ := s.Request.Context().Value(joinKey{}).(func())
		s.Request = nil // headers and body are not needed any more: they are kilobytes
		join()
	})
	h.melody.HandleMessage(refuse)
	h.melody.HandleMessageBinary(refuse)
	return h
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
	connected := make(chan error, 1)
	h.done.Go(func() {
		defer h.open.Add(-1)
		h.live(w, r, join, connected)
	})
	h.mu.Unlock()
	return <-connected
}

// live is a socket's life. melody calls the connect handler in this goroutine, before
// it reads.
func (h *Hub) live(w http.ResponseWriter, r *http.Request, join func(*Conn) (Session, func()), connected chan<- error) {
	conn := &Conn{}
	conn.wire.conn, conn.wire.hub = conn, h
	var leave func()
	ctx := context.WithValue(r.Context(), joinKey{}, func() {
		var owner Session
		owner, leave = join(conn)
		conn.joined(owner)
		close(connected)
	})
	err := h.melody.HandleRequest(hijacker{w, &conn.wire}, r.WithContext(ctx))
	if leave != nil {
		leave()
		return
	}
	connected <- fmt.Errorf("upgrade: %w", errors.Join(err, errNotConnected))
}

var errNotConnected = errors.New("the socket was not connected")

// joinKey is what melody's connect handler finds its join by.
type joinKey struct{}

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
		w := &connOf(s).wire
		w.mu.Lock()
		w.cut()
		w.mu.Unlock()
	}
	<-gone
	return nil
}
