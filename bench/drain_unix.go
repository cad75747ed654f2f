//go:build linux || darwin

package bench

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// drain reads a connection until it ends: fill gives room, take takes what was read. A TCP connection is read with one
// system call each time it becomes readable: a read that did not fill the room has emptied the socket, and the second read
// that net.Conn does before it waits would only say so. (Nothing is lost in between: the wait returns at once for what came
// after that read.) take may block.
func drain(nc net.Conn, fill func() []byte, take func(n int) error) error {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return drainPlain(nc, fill, take)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var ended error
	err = raw.Read(func(fd uintptr) bool {
		for {
			room := fill()
			n, err := syscall.Read(int(fd), room)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				return false // wait until it is readable
			case err != nil:
				ended = err
				return true
			case n == 0:
				ended = io.EOF
				return true
			}
			if ended = take(n); ended != nil {
				return true
			}
			if n < len(room) {
				return false
			}
		}
	})
	if ended != nil {
		return ended
	}
	return err
}
