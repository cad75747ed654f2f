package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"ackbox/service"

	"github.com/prometheus/client_golang/prometheus"
)

// figuresPatience bounds the questions that a scrape asks: below Prometheus' usual 10 s.
const figuresPatience = 2 * time.Second

// nodeFigures say how this node is, when they are asked.
type nodeFigures struct {
	server *server

	build, node, draining, nodes, up, sockets, maxSockets, relayQueue, diskFree, diskSize, sqlite, certificate *prometheus.Desc
}

func newNodeFigures(s *server) *nodeFigures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("ackbox_"+name, help, labels, nil)
	}
	return &nodeFigures{
		server:      s,
		build:       desc("build_info", "1, with what runs.", "version", "go_version"),
		node:        desc("node_info", "1, with the node id that this process has leased.", "node"),
		draining:    desc("draining", "1 while this node sends clients elsewhere."),
		nodes:       desc("nodes", "Nodes that hold a lease, as this one knows; itself included."),
		up:          desc("dependency_up", "1 when it answers: database, redis, files.", "dependency"),
		sockets:     desc("sockets", "Open sockets of this node."),
		maxSockets:  desc("max_sockets", "Sockets that this node takes: ACKBOX_MAX_SOCKETS."),
		relayQueue:  desc("relay_queue", "Events for other nodes that wait for Redis."),
		diskFree:    desc("data_dir_free_bytes", "Free space of the file system of ACKBOX_DATA_DIR."),
		diskSize:    desc("data_dir_size_bytes", "Size of the file system of ACKBOX_DATA_DIR."),
		sqlite:      desc("sqlite_file_bytes", "Size of the SQLite files: database and wal. Not with MySQL.", "file"),
		certificate: desc("tls_certificate_not_after_timestamp_seconds", "When the certificate of ACKBOX_TLS_CERT ends, as Unix time; 0 without one."),
	}
}

// Describe and Collect make it a prometheus.Collector.
func (f *nodeFigures) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{f.build, f.node, f.draining, f.nodes, f.up, f.sockets, f.maxSockets, f.relayQueue, f.diskFree, f.diskSize, f.sqlite, f.certificate} {
		to <- desc
	}
}

// Collect is called for each scrape.
func (f *nodeFigures) Collect(to chan<- prometheus.Metric) {
	s := f.server
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(f.build, 1, version, runtime.Version())
	gauge(f.node, 1, strconv.FormatInt(int64(s.ids.Node()), 10))
	gauge(f.draining, truth(s.drain.on.Load()))
	ends := 0.0
	if s.certificate != nil {
		ends = float64(s.certificate.leaf().NotAfter.Unix())
	}
	gauge(f.certificate, ends)
	peers, waiting := 0, 0
	if s.relay != nil {
		peers, waiting = s.relay.Peers(), s.relay.Waiting()
	}
	gauge(f.nodes, float64(1+peers))
	gauge(f.relayQueue, float64(waiting))
	gauge(f.sockets, float64(s.hub.Count()))
	gauge(f.maxSockets, float64(s.config.MaxSockets))
	for name, answers := range s.dependencies() {
		gauge(f.up, truth(answers), name)
	}
	if free, size, known := diskSpace(s.config.DataDir); known {
		gauge(f.diskFree, float64(free))
		gauge(f.diskSize, float64(size))
	}
	if s.config.MySQLDSN == "" {
		for name, suffix := range map[string]string{"database": "", "wal": "-wal"} {
			if info, err := os.Stat(sqlitePath(s.config) + suffix); err == nil {
				gauge(f.sqlite, float64(info.Size()), name)
			}
		}
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// dependencies asks all of them at the same time whether they answer.
func (s *server) dependencies() map[string]bool {
	ctx, cancel := context.WithTimeout(context.Background(), figuresPatience)
	defer cancel()
	var database, redis, files error
	var asked sync.WaitGroup
	asked.Go(func() { database = s.store.Ping(ctx) })
	asked.Go(func() { redis = service.AskRedis(ctx, s.redis) })
	asked.Go(func() {
		if s.s3 != nil {
			files = s.s3.Ping(ctx)
			return
		}
		_, files = os.Stat(filepath.Join(s.config.DataDir, "files"))
	})
	asked.Wait()
	return map[string]bool{"database": database == nil, "redis": redis == nil, "files": files == nil}
}
