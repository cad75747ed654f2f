//go:build linux || darwin

package bench

import (
	"errors"
	"syscall"
)

const (
	// narrowBuffer is the size of a narrow connection's receive buffer, in bytes.
	narrowBuffer = 4 << 10
	// narrowSegment is the longest segment that we ask for. Linux makes the sender's buffer as large as some tens of segments,
	// and one of loopback is 64 KiB: megabytes would be taken before a write waits.
	narrowSegment = 536
)

// narrow is a net.Dialer's Control. It works before the handshake only, which is where both sizes are told.
func narrow(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = errors.Join(
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, narrowBuffer),
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, narrowSegment))
	})
	return errors.Join(err, failed)
}
