//go:build !linux && !darwin

package bench

import "net"

// drain reads a connection until it ends: fill gives room, take takes what was read.
func drain(nc net.Conn, fill func() []byte, take func(n int) error) error {
	return drainPlain(nc, fill, take)
}
