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

// source is where the i-th of many connections comes from: one address has too few ports for all of them.
func (t *target) source(i int) net.IP {
	if n := i / portsAnAddress; n > 0 && t.loopback() {
		return net.IPv4(127, 0, 0, byte(1+n%250))
	}
	return nil
}

// socketURL is the address of the push socket with the given query.
func (t *target) socketURL(query url.Values) string {
	scheme := "ws"
	if t.secure {
		scheme = "wss"
	}
	return scheme + "://" + t.host + t.prefix + "/v1/ws?" + query.Encode()
}

func (t *target) dial(ctx context.Context) (net.Conn, error) { return t.dialFrom(ctx, nil) }

// dialFrom dials from a source address; nil leaves it to the system.
func (t *target) dialFrom(ctx context.Context, source net.IP) (net.Conn, error) {
	return t.dialWith(ctx, net.Dialer{}, source)
}

// dialNarrow is dialFrom for a connection of which the kernels on both sides keep little that is not read.
func (t *target) dialNarrow(ctx context.Context, source net.IP) (net.Conn, error) {
	return t.dialWith(ctx, net.Dialer{Control: narrow}, source)
}

func (t *target) dialWith(ctx context.Context, dialer net.Dialer, source net.IP) (net.Conn, error) {
	dialer.Timeout = dialTimeout
	if source != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: source}
	}
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
