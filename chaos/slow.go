package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"ackbox/client"
)

// slowSockets is how many sockets do not read.
const slowSockets = 40

// perAccount is how many of them belong to one account.
const perAccount = 5

// slowReaders opens sockets of the crowd's accounts that never read, holds them for longer than a node bears it, and drops them.
func slowReaders(ctx context.Context, s *Strike) (err error) {
	s.Begin(nil, "sockets that do not read")
	var open []*websocket.Conn
	defer func() {
		for _, conn := range open {
			err = errors.Join(err, conn.Close())
		}
	}()
	dialer := websocket.Dialer{HandshakeTimeout: tryPatience, NetDialContext: smallBuffer}
	var session *client.Session
	for i := range slowSockets {
		node := s.Nodes[i%len(s.Nodes)]
		if i%perAccount == 0 { // a login of their own: a device belongs to one
			api := client.New(node.URL)
			session, err = api.Login(ctx, s.Load.people[i/perAccount%len(s.Load.people)].who)
			api.Close()
			if err != nil {
				return fmt.Errorf("log in for slow sockets: %w", err)
			}
		}
		address := "ws" + strings.TrimPrefix(node.URL, "http") + fmt.Sprintf("/v1/ws?device_id=slow%d&last_seq=0", i)
		conn, _, err := dialer.DialContext(ctx, address, http.Header{"Authorization": {"Bearer " + session.AccessToken}})
		if err != nil {
			return fmt.Errorf("open a slow socket: %w", err)
		}
		open = append(open, conn)
	}
	return wait(ctx, s.long(12*time.Second, 3*time.Second))
}

// smallBuffer dials so that the kernel holds little of what is not read.
func smallBuffer(ctx context.Context, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(4096); err != nil {
			return nil, errors.Join(fmt.Errorf("a small buffer: %w", err), conn.Close())
		}
	}
	return conn, nil
}
