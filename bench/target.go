package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// dialTimeout bounds one connection attempt, TLS handshake included.
const dialTimeout = 10 * time.Second

// target is one node's (or load balancer's) address, taken apart once.
type target struct {
	secure bool
	host   string // as in the Host header
	addr   string // host:port to dial
	prefix string // path before /v1, usually empty
}

func parseTarget(raw string) (*target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", raw, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("address %q: want http://host[:port] or https://host[:port]", raw)
	}
	t := &target{secure: u.Scheme == "https", host: u.Host, addr: u.Host, prefix: strings.TrimSuffix(u.EscapedPath(), "/")}
	if u.Port() == "" {
		port := "80"
		if t.secure {
			port = "443"
		}
		t.addr = net.JoinHostPort(u.Hostname(), port)
	}
	return t, nil
}

// loopback says whether the node is on this machine, where the generator may use all of 127.0.0.0/8 as source addresses.
func (t *target) loopback() bool {
	host, _, err := net.SplitHostPort(t.addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.To4() != nil && ip.IsLoopback())
}

// socketURL is the address of the push socket with the given query.
func (t *target) socketURL(query url.Values) string {
	scheme := "ws"
	if t.secure {
		scheme = "wss"
	}
	return scheme + "://" + t.host + t.prefix + "/v1/ws?" + query.Encode()
}

func (t *target) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	if !t.secure {
		return dialer.DialContext(ctx, "tcp", t.addr)
	}
	host, _, err := net.SplitHostPort(t.addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return (&tls.Dialer{NetDialer: &dialer, Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", t.addr)
}
