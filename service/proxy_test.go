package service

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// place says where the proxy cuts a connection that commits.
type place int

const (
	cutNever  place = iota
	cutBefore       // the database never gets the COMMIT
	cutAfter        // it has committed, and its answer is lost
)

// commitProxy stands before a MySQL server and cuts connections exactly at COMMIT.
type commitProxy struct {
	t        *testing.T
	listener net.Listener
	server   string
	done     sync.WaitGroup

	mu     sync.Mutex
	where  place
	times  int  // cuts still to be made
	last   bool // with the next cut the database goes away
	gone   bool // takes no connections any more, and lost those it had
	cuts   int  // made
	conns  map[net.Conn]bool
	closed bool
}

func newCommitProxy(t *testing.T, server string) *commitProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &commitProxy{t: t, listener: listener, server: server, conns: map[net.Conn]bool{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		for c := range p.conns {
			closeConn(t, c)
		}
		p.mu.Unlock()
		must(t, listener.Close())
		p.done.Wait()
	})
	return p
}

func (p *commitProxy) addr() string { return p.listener.Addr().String() }

// arm makes the next n connections that commit be cut.
func (p *commitProxy) arm(where place, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.where, p.times = where, n
}

func (p *commitProxy) made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// armLast makes the next connection that commits be cut, and takes the database away
// with it.
func (p *commitProxy) armLast(where place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.where, p.times, p.last = where, 1, true
}

// goAway is the end of the database for all connections but those of the pair.
func (p *commitProxy) goAway(pair ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	for c := range p.conns {
		if !slices.Contains(pair, c) {
			closeConn(p.t, c)
		}
	}
}

func closeConn(t tester, c net.Conn) {
	t.Helper()
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

func (p *commitProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			p.t.Errorf("dial the database: %v", err)
			closeConn(p.t, client)
			return
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		if p.gone || p.closed {
			closeConn(p.t, client)
			closeConn(p.t, server)
		}
		p.mu.Unlock()
		lost := make(chan struct{}) // closed when the answer is to be lost
		p.done.Go(func() { p.requests(client, server, lost) })
		p.done.Go(func() { p.answers(client, server, lost) })
	}
}

// end closes both sides.
func (p *commitProxy) end(client, server net.Conn) {
	closeConn(p.t, client)
	closeConn(p.t, server)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// requests copies the client's packets one by one and looks for COMMIT.
func (p *commitProxy) requests(client, server net.Conn, lost chan struct{}) {
	defer p.end(client, server)
	for {
		var header [4]byte
		if _, err := io.ReadFull(client, header[:]); err != nil {
			return
		}
		payload := make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
		if _, err := io.ReadFull(client, payload); err != nil {
			return
		}
		if bytes.EqualFold(payload, []byte("\x03COMMIT")) {
			switch p.take(client, server) {
			case cutBefore:
				return
			case cutAfter:
				close(lost) // the answer's copier stops after the next answer
			case cutNever:
			}
		}
		if _, err := server.Write(append(header[:], payload...)); err != nil {
			return
		}
	}
}

func (p *commitProxy) take(client, server net.Conn) place {
	p.mu.Lock()
	if p.times == 0 {
		p.mu.Unlock()
		return cutNever
	}
	p.times--
	where, last := p.where, p.last
	p.mu.Unlock()
	if last {
		p.goAway(client, server)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts++
	return where
}

func (p *commitProxy) answers(client, server net.Conn, lost chan struct{}) {
	defer p.end(client, server)
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-lost: // COMMIT's answer has come here, and goes no further
			return
		default:
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}
