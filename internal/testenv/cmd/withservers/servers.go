package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ackbox/internal/testenv/instance"
)

// servers are those that this command has started, in dir.
type servers struct {
	dir   string
	env   []string // variables that name them
	close []func() error
}

// startUnless starts the servers unless a signal comes first.
func (s *servers) startUnless(signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- s.start(ctx) }()
	select {
	case err := <-started:
		return err
	case sig := <-signals:
		cancel()
		return errors.Join(fmt.Errorf("interrupted: %s", sig), <-started)
	}
}

// start starts each server that the environment does not name already.
func (s *servers) start(ctx context.Context) error {
	if os.Getenv(instance.MySQLVariable) == "" {
		server, err := instance.StartMariaDB(ctx, filepath.Join(s.dir, "mariadb"))
		if err != nil {
			return err
		}
		s.close = append(s.close, server.Close)
		s.env = append(s.env, instance.MySQLVariable+"="+server.DSN(""))
	}
	if os.Getenv(instance.RedisVariable) == "" {
		server, err := instance.StartRedis(ctx, filepath.Join(s.dir, "redis"))
		if err != nil {
			return err
		}
		s.close = append(s.close, server.Close)
		s.env = append(s.env, instance.RedisVariable+"="+server.URL())
	}
	return nil
}

func (s *servers) stop() error {
	var err error
	for _, closeServer := range s.close {
		err = errors.Join(err, closeServer())
	}
	return err
}
