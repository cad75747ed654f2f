package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Cut says where a proxy cuts a connection that commits.
type Cut int

// The two places between which a client cannot tell.
const (
	CutBefore Cut = iota + 1 // the database never gets the COMMIT, and rolls back
	CutAfter                 // it has committed, and its answer is lost
)

// Proxy stands between a node and one of its stores: it cuts connections exactly in COMMIT, holds a COMMIT back, or makes
// everything late. (toxiproxy does the last; it does not know what travels, so one small proxy of our own does all three.)
type Proxy struct {
	listener net.Listener
	server   string
	packets  bool // the MySQL protocol's: look for COMMIT
	done     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	cut    Cut
	times  int           // cuts still to be made
	cuts   int           // made
	hold   chan struct{} // a COMMIT waits for its end; nil: none is held
	held   chan struct{} // closed when one is
	delay  time.Duration // of every piece of an answer
	closed bool
}

// NewProxy listens on a free loopback port for clients of the server at addr. With packets it understands MySQL's.
func NewProxy(addr string, packets bool) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lives until Close
	if err != nil {
		return nil, fmt.Errorf("proxy of %s: %w", addr, err)
	}
	p := &Proxy{listener: listener, server: addr, packets: packets, conns: map[net.Conn]bool{}}
	p.done.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// CutCommits makes the next n connections that commit be cut at the place.
func (p *Proxy) CutCommits(where Cut, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.times = where, n
}

// Cuts is how many connections have been cut in COMMIT.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// HoldCommit keeps the next COMMIT from the database until release is called, which must be; held is closed once one is kept.
func (p *Proxy) HoldCommit() (held <-chan struct{}, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hold, at := make(chan struct{}), make(chan struct{})
	p.hold, p.held = hold, at
	return at, sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hold = nil
		close(hold)
	})
}

// Delay makes every piece of an answer that much later; 0 ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Close cuts all connections and waits for what copied them.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		abort(c)
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.done.Wait()
	return err //nolint:wrapcheck // nothing to add
}

// abort closes a connection; what the close of a broken one has to say is no news.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) //nolint:errcheck // the close below is what counts
	}
	_ = c.Close() //nolint:errcheck // it is being cut
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.DialTimeout("tcp", p.server, 2*time.Second) //nolint:noctx // bounded
		if err != nil {                                                // the server is down, and the client may see that
			abort(client)
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		if p.closed {
			abort(client)
			abort(server)
		}
		p.mu.Unlock()
		lost := make(chan struct{}) // closed when the next answer is to be lost
		p.done.Go(func() {
			defer p.end(client, server)
			p.requests(client, server, lost)
		})
		p.done.Go(func() {
			defer p.end(client, server)
			p.answers(client, server, lost)
		})
	}
}

// end cuts both sides.
func (p *Proxy) end(client, server net.Conn) {
	abort(client)
	abort(server)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// requests copies to the server; packets one by one, looking for COMMIT.
func (p *Proxy) requests(client, server net.Conn, lost chan struct{}) {
	if !p.packets {
		_, _ = io.Copy(server, client) //nolint:errcheck // either side's end is the end
		return
	}
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
			switch p.atCommit() {
			case CutBefore:
				return
			case CutAfter:
				close(lost)
			}
		}
		if _, err := server.Write(append(header[:], payload...)); err != nil {
			return
		}
	}
}

// atCommit waits while COMMITs are held, and says where to cut, 0 for nowhere.
func (p *Proxy) atCommit() Cut {
	p.mu.Lock()
	if hold := p.hold; hold != nil && p.held != nil {
		close(p.held)
		p.held = nil
		p.mu.Unlock()
		<-hold
		return 0
	}
	defer p.mu.Unlock()
	if p.times == 0 {
		return 0
	}
	p.times--
	p.cuts++
	return p.cut
}

func (p *Proxy) answers(client, server net.Conn, lost chan struct{}) {
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
		p.mu.Lock()
		delay := p.delay
		p.mu.Unlock()
		if delay > 0 {
			<-time.After(delay)
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}
