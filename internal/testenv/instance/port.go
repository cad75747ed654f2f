package instance

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Reserved ports lie below the range from which the kernel takes ports for outgoing connections (from 32768 on Linux,
// 49152 elsewhere): a server that is down for a moment must find its port free when it comes back, and a client that
// dials it meanwhile must not be connected to itself.
const (
	firstPort    = 20000
	portCount    = 10000
	portAttempts = 200
)

// ErrNoPort says that no port could be reserved.
var ErrNoPort = errors.New("no free port on 127.0.0.1")

// Port is a reserved TCP port of 127.0.0.1. The same user's other processes that use this package will not take it until Release, or
// until this process ends.
type Port struct {
	Number int
	lock   *os.File
}

// ReservePort finds a port on which nothing listens and reserves it.
func ReservePort() (*Port, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("ackbox-testenv-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	for range portAttempts {
		number := firstPort + rand.IntN(portCount)
		lock, err := tryLock(filepath.Join(dir, strconv.Itoa(number)))
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reserve a port: %w", err)
		}
		port := &Port{Number: number, lock: lock}
		if listener, err := net.Listen("tcp", port.Addr()); err == nil {
			if err := listener.Close(); err != nil {
				return nil, errors.Join(fmt.Errorf("reserve a port: %w", err), port.Release())
			}
			return port, nil
		}
		if err := port.Release(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %d tries between %d and %d", ErrNoPort, portAttempts, firstPort, firstPort+portCount-1)
}

// Addr is host:port, the host being 127.0.0.1.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Release gives the port back.
func (p *Port) Release() error {
	if err := p.lock.Close(); err != nil {
		return fmt.Errorf("release port %d: %w", p.Number, err)
	}
	return nil
}
