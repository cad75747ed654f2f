//go:build unix

package ws

import (
	"errors"
	"net"
	"syscall"
)

// rawOf is the connection's raw form, or nil when a write cannot be tried on it without waiting:
// a TLS connection has to encrypt, which keeps a state.
func rawOf(conn net.Conn) syscall.RawConn {
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// write is called by the runtime with the connection's descriptor, which does not block. What
// the kernel does not take is no error.
func (a *attempt) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), a.b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
		case err != nil:
			a.err = err
		default:
			a.n = n
		}
		return true
	}
}
