package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ackbox/blob"
	"ackbox/config"
	"ackbox/model"
	"ackbox/service"
	"ackbox/trace"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
)

func storeOptions(c *config.Config, log *slog.Logger) model.Options {
	o := model.Options{MySQLDSN: c.MySQLDSN, Log: log}
	if c.MySQLDSN == "" {
		o.SQLitePath = sqlitePath(c)
	}
	return o
}

func (s *server) openStore(ctx context.Context) (err error) {
	options := storeOptions(s.config, s.log)
	if s.tracing != nil {
		options.OpenDB = s.tracing.openDB
	}
	if s.store, err = model.Open(ctx, options); err != nil {
		return err
	}
	s.onClose("store", func(context.Context) error { return s.store.Close() })
	pools, err := s.store.Pools()
	if err != nil {
		return err
	}
	for name, pool := range pools {
		s.registry.MustRegister(collectors.NewDBStatsCollector(pool, name))
	}
	if err := s.store.Migrate(ctx); err != nil {
		return err
	}
	if s.installation, err = s.store.Installation(ctx, rand.Text()); err != nil {
		return err
	}
	warnings, err := s.store.Warnings(ctx)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		s.log.Warn("unsafe database setting", "setting", w)
	}
	return nil
}

func (s *server) openRedis(ctx context.Context) error {
	redis.SetLogger(redisLog{s.log})
	if len(s.config.RedisURL) == 0 {
		embedded, err := newEmbeddedRedis()
		if err != nil {
			return err
		}
		s.onClose("embedded redis", func(context.Context) error { embedded.stop(); return nil })
		s.redis = redis.NewClient(&redis.Options{Addr: embedded.addr(), DisableIdentity: true, MaxRetries: -1})
	} else {
		var err error
		if s.redis, err = openExternalRedis(ctx, s.config, s.installation, s.log); err != nil {
			return err
		}
	}
	s.onClose("redis", func(context.Context) error { return s.redis.Close() })
	if s.tracing != nil {
		return s.tracing.client(s.redis)
	}
	return nil
}

// openBlobs chooses where the contents of files are.
func (s *server) openBlobs(ctx context.Context) (err error) {
	c := s.config
	if c.S3Endpoint == "" {
		if c.MySQLDSN != "" {
			s.log.Warn("uploaded files are kept in the data folder of this node; with several nodes set ACKBOX_S3_ENDPOINT, or share the folder", "folder", c.DataDir)
		}
		s.blobs, err = blob.NewFolder(filepath.Join(c.DataDir, "files"))
		return err
	}
	s.s3, err = blob.NewS3(blob.S3Options{Endpoint: c.S3Endpoint, Bucket: c.S3Bucket, Region: c.S3Region, AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey})
	if err != nil {
		return fmt.Errorf("ACKBOX_S3_ENDPOINT: %w", err)
	}
	s.blobs = s.s3
	s.onClose("file store", func(context.Context) error { s.s3.Close(); return nil })
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.s3.Ping(ctx); err != nil {
		s.log.Warn("the file store does not answer; going on without files until it does", "error", err)
	}
	return nil
}

// openTrace makes the store of what happens to messages. A node whose data folder cannot be written goes without: nothing
// depends on it.
func (s *server) openTrace() {
	c := s.config
	if s.trace = trace.Off(); c.Traced() {
		store, err := trace.Open(trace.Options{
			Dir: filepath.Join(c.DataDir, "trace"), Retention: c.TraceRetention, Bytes: c.TraceBytes, Rate: c.TraceRate, Node: s.ids.Node, Clock: time.Now, Log: s.log,
		})
		if err != nil {
			s.log.Warn("no trace of messages: its folder cannot be used", "error", err)
		} else {
			s.trace = store
			s.onClose("trace", func(context.Context) error { return store.Close() })
		}
	}
	service.RegisterTraceMetrics(s.registry, s.trace)
}

// secret is the configured one, or the one that was made at the first start and is
// kept in the data folder.
func (s *server) secret() ([]byte, error) {
	if s.config.JWTSecret != "" {
		return []byte(s.config.JWTSecret), nil
	}
	path := filepath.Join(s.config.DataDir, "jwt-secret")
	text, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(text))) >= config.MinSecret {
		return []byte(strings.TrimSpace(string(text))), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("secret in the data folder: %w", err)
	}
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("make a secret: %w", err)
	}
	secret := hex.EncodeToString(fresh)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("keep the secret in the data folder: %w", err)
	}
	return []byte(secret), nil
}
