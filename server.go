package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"ackbox/api"
	"ackbox/blob"
	"ackbox/config"
	"ackbox/job"
	"ackbox/model"
	"ackbox/service"
	"ackbox/trace"
	"ackbox/ws"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
)

const (
	// shutdownTime bounds the orderly end.
	shutdownTime = 10 * time.Second
	// answerTime is the part of it that requests in flight have: then their connections are cut,
	// so that a client that never ends its body does not take the time of the sockets.
	answerTime = 4 * time.Second
	// socketTime is the part that sockets have to take their goodbye: one that takes nothing must not keep what comes
	// after it from ending in order.
	socketTime = 4 * time.Second
	// returnSpread is the least time over which the clients of a stopping node are asked to come
	// back, returnPace how many in a second, maxReturnSpread the longest.
	returnSpread    = 3 * time.Second
	returnPace      = 1_000
	maxReturnSpread = 30 * time.Second

	sweepJob = "sweep"
)

// server is the whole program: what newServer built in order, run serves, and close ends in
// reverse.
type server struct {
	config       *config.Config
	log          *slog.Logger
	registry     *prometheus.Registry
	store        *model.Store
	redis        redis.UniversalClient
	installation string
	clock        *service.Clock
	ids          *service.IDs
	audit        *service.Audit
	auth         *service.Auth
	writer       *service.Writer
	acker        *service.Acker
	window       *service.Window
	delivery     *service.Delivery
	trace        *trace.Store
	presence     *service.Presence // nil: off
	limits       *service.Limits   // nil when they are off
	blobs        service.Blobs
	s3           *blob.S3 // nil: files are in the data folder
	files        *service.Files
	relay        *service.RedisRelay // nil on SQLite: there is no other node
	calls        *service.NodeCalls
	hub          *ws.Hub
	api          *api.API
	jobs         *job.Runner
	public       *http.Server
	admin        *http.Server // nil unless configured
	listener     net.Listener
	adminL       net.Listener
	drain        drain
	started      time.Time
	level        *service.LogLevel
	series       *service.Series
	tracing      *tracing     // nil: off
	certificate  *certificate // nil: plain HTTP
	closers      []closer     // in order of construction
}

type closer struct {
	name string
	fn   func(ctx context.Context) error
}

func (s *server) onClose(name string, fn func(ctx context.Context) error) {
	s.closers = append(s.closers, closer{name, fn})
}

// newServer builds everything. When a part fails, what was built before is ended.
func newServer(ctx context.Context, c *config.Config) (s *server, err error) {
	s = &server{config: c, registry: prometheus.NewRegistry(), started: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	var level *slog.LevelVar
	if s.log, level, err = newLog(c.LogLevel); err != nil {
		return s, err
	}
	s.level = service.NewLogLevel(level, time.Now)
	s.onClose("log level", func(context.Context) error { s.level.Stop(); return nil })
	s.jobs = job.NewRunner(s.log, s.registry)
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, build := range []func(context.Context) error{s.openTracing, s.openStore, s.openRedis, s.openBlobs, s.buildCore, s.buildJobs, s.buildEdge} {
		if err := build(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

func newLog(level string) (*slog.Logger, *slog.LevelVar, error) {
	l := new(slog.LevelVar)
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("ACKBOX_LOG_LEVEL: %w", err)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), l, nil
}

func (s *server) buildCore(ctx context.Context) (err error) {
	if s.clock, err = service.NewClock(ctx, s.store, time.Now); err != nil {
		return err
	}
	c, clock := s.config, s.clock.Now
	if s.ids, err = service.NewIDs(ctx, s.store, model.NodeID(c.NodeID), nodeAddress(c.HTTPAddr), time.Now, s.log); err != nil {
		return err
	}
	s.onClose("node lease", s.ids.Release)
	s.audit = service.NewAudit(s.store, s.ids, s.ids.Node, clock, s.log)
	secret, err := s.secret()
	if err != nil {
		return err
	}
	if c.PasswordMemoryKiB < service.PasswordMemory {
		s.log.Warn("unsafe setting", "setting", fmt.Sprintf("ACKBOX_PASSWORD_MEMORY_KIB=%d: OWASP recommends %d at least; stolen hashes are guessed faster", c.PasswordMemoryKiB, service.PasswordMemory))
	}
	s.auth, err = service.NewAuth(service.AuthOptions{Store: s.store, IDs: s.ids, Redis: s.redis, Installation: s.installation, Secret: secret, AccessTTL: c.AccessTokenTTL, RefreshTTL: c.RefreshTokenTTL, Now: clock, PasswordMemory: c.PasswordMemoryKiB})
	if err != nil {
		return err
	}
	s.openTrace()
	node := strconv.FormatInt(int64(s.ids.Node()), 10)
	s.delivery, err = service.NewDelivery(s.store, node, service.DeliveryOptions{
		AckTimeout: c.AckTimeout, MaxAttempts: c.AckMaxAttempts, QueueSize: c.AckQueueSize, Heartbeat: c.Heartbeat, SlowTimeout: 10 * time.Second, PumpWorkers: 8, PumpCapacity: 65_536, UserSessions: c.DevicesMax,
		Trace: s.trace, Agreed: clock,
	}, time.Now, s.log)
	if err != nil {
		return err
	}
	s.onClose("delivery", func(context.Context) error { s.delivery.Stop(); return nil })
	if s.tracing != nil {
		s.delivery.SpannedBy(s.tracing.spans) // before the relay, which may hear of a sampled message at once
	}
	audiences, err := service.NewAudiences(s.store)
	if err != nil {
		return err
	}
	s.delivery.SetAudiences(audiences) // before the relay, which may hear of a large group's message at once
	if s.store.Dialect() == model.MySQL && len(c.RedisURL) > 0 {
		s.relay = service.NewRedisRelay(s.redis, s.installation, rand.Text(), c.Sharded(), s.delivery, service.RelayHooks{
			Revoked: func(family model.FamilyID) { s.auth.Revoked(family) },
			Banned:  s.learnBan,
			Resubscribed: func() {
				s.log.Info("the relay is back; the sweep looks at every session")
				s.jobs.Soon(sweepJob)
			},
		}, s.log)
		s.delivery.SetRelay(s.relay)
		if err := s.countPeers(ctx); err != nil {
			return err
		}
		s.onClose("relay", func(context.Context) error { s.relay.Stop(); return nil })
	}
	var others redis.UniversalClient // nil: there are none
	if s.relay != nil {
		others = s.redis
	}
	s.calls = service.NewNodeCalls(s.store, others, s.installation, rand.Text(), s.ids.Node, s.log)
	s.onClose("node calls", func(context.Context) error { s.calls.Stop(); return nil })
	if c.Presence == "on" {
		options := service.PresenceOptions{Store: s.store, Delivery: s.delivery, Installation: s.installation, Node: node, Clock: clock, Log: s.log}
		if s.relay != nil { // there may be other nodes
			options.Redis = s.redis
		}
		s.presence = service.NewPresence(options)
		s.onClose("presence", s.presence.Stop)
	}
	s.auth.OnRevoked = func(_ context.Context, user model.UserID, family model.FamilyID) {
		s.delivery.Revoke(user, family)
	}
	s.auth.OnBanned = func(_ context.Context, user model.UserID) { s.delivery.Ban(user) }
	s.auth.OnUnbanned = func(_ context.Context, user model.UserID) { s.delivery.Unban(user) }
	if err := s.auth.LoadRevoked(ctx); err != nil {
		return err
	}
	s.acker = service.NewAcker(s.store, s.delivery, c.DevicesMax, clock, s.log)
	s.acker.LimitReceipts(c.ReceiptsMaxMembers, c.MailboxGroupLimit)
	s.onClose("acks", s.acker.Stop)
	s.writer = service.NewWriter(s.store, s.ids, audiences, clock, s.log, s.delivery.Committed)
	s.writer.TracedBy(s.trace)
	s.onClose("writer", s.writer.Stop)
	if s.tracing != nil {
		s.writer.SpannedBy(s.tracing.spans)
	}
	s.window = service.NewWindow(s.redis, s.installation, c.IdempotencyWindow)
	s.window.SharedWhen(func() bool { return s.relay != nil && s.relay.HasPeers() })
	if s.limits, err = newLimits(c, s.redis, s.installation); err != nil {
		return err
	}
	s.onClose("limits", func(context.Context) error { s.limits.Stop(); return nil })
	s.onClose("window", func(context.Context) error { s.window.Stop(); return nil })
	service.RegisterMetrics(s.registry, s.writer, s.delivery)
	return s.buildParts(ctx, audiences, clock)
}

func (s *server) learnBan(user model.UserID, banned bool) {
	if banned {
		s.auth.Banned(user)
		return
	}
	s.auth.Unbanned(user)
}

// silence is after how long a socket from which nothing comes is gone: three heartbeats. Pings are sent by
// a job that runs once a second and may wait for the database, so it is never less than 15 s.
func silence(heartbeat time.Duration) time.Duration { return max(3*heartbeat, 15*time.Second) }

// buildParts wires what the edge calls.
func (s *server) buildParts(ctx context.Context, audiences *service.Audiences, clock func() time.Time) error {
	users := service.NewUsers(s.store, s.auth)
	if s.config.AdminUsername != "" {
		if err := users.EnsureAdmin(ctx, s.config.AdminUsername, s.config.AdminPassword); err != nil {
			return fmt.Errorf("first admin account: %w", err)
		}
	}
	conversations, err := service.NewConversations(s.store, s.ids, audiences, s.delivery, clock)
	if err != nil {
		return err
	}
	conversations.LimitReceipts(s.config.ReceiptsMaxMembers)
	s.store.OnAnother(conversations.ForgetAll) // what was never durable
	s.files = service.NewFiles(service.FileOptions{
		Store: s.store, IDs: s.ids, Blobs: s.blobs, MaxBytes: s.config.FileMaxBytes, Quota: s.config.FileQuotaBytes, Types: s.config.TakenTypes(), Clock: clock, Log: s.log,
	})
	s.hub = ws.NewHub(s.config.MaxSockets, silence(s.config.Heartbeat), api.Origins(s.config.AllowedOrigins), s.log)
	s.onClose("sockets", s.closeSockets)
	s.registry.MustRegister(newNodeFigures(s))
	s.series = service.NewSeries(s.writer, s.delivery, time.Now)
	metrics := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{EnableOpenMetrics: s.tracing != nil}) // which has exemplars
	deps := api.Deps{
		Auth: s.auth, Users: users, Blocks: conversations, IDs: s.ids, Ready: s.ready,
		Messages:  service.NewMessages(s.store, s.ids, s.window, s.writer, audiences, conversations, s.config.RecallWindow, clock).LimitedBy(s.limits),
		Mailboxes: service.NewMailboxes(s.store, s.acker, clock), Conversations: conversations,
		Groups:  service.NewGroups(s.store, s.ids, s.writer, conversations, s.delivery, s.config.MailboxGroupLimit, s.config.GroupMaxMembers, clock),
		Devices: service.NewDevices(s.store, s.auth, s.delivery, s.presence), Presence: s.presence, Files: s.files, Delivery: s.delivery, Sockets: s.hub, Connects: service.NewGate(s.config.ConnectConcurrency),
		Log: s.log, AllowedOrigins: s.config.AllowedOrigins, TrustedProxies: s.config.TrustedProxies, Limits: s.limits, Version: version, Registry: s.registry, Tracer: s.tracing.tracer(),
		Traces: service.NewTraces(s.store, s.trace, s.calls, conversations, s.delivery), Audit: s.audit, NodeCalls: s.calls, AdminApart: s.config.AdminAddr != "", Settings: settingsOf(s.config),
		Nodes: service.NewNodes(service.NodesOptions{
			Store: s.store, Calls: s.calls, Delivery: s.delivery, Jobs: s.jobs, Level: s.level, Series: s.series, Version: version, StartedAt: s.started, Drain: s.turn, Draining: s.drain.on.Load, Clock: time.Now,
		}),
	}
	deps.Statistics = service.NewStatistics(s.store, s.redis, clock)
	deps.Moderation, deps.Announcements = service.NewModeration(s.store, deps.Groups, deps.Messages, clock), service.NewAnnouncements(s.store, deps.Messages, clock)
	if s.config.AdminAddr == "" {
		deps.Metrics = metrics
	}
	if s.api, err = api.New(deps); err != nil {
		return err
	}
	deps.Nodes.Answer()
	if s.config.AdminAddr != "" {
		s.admin = &http.Server{Handler: adminMux(s.api.AdminHandler(), metrics), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	}
	return nil
}

func (s *server) buildJobs(context.Context) error {
	for _, j := range []job.Job{
		{Name: "retry", Every: time.Second, Run: s.delivery.Retry},
		{Name: "tick", Every: time.Second, Run: s.delivery.Tick},
		{Name: sweepJob, Every: s.config.SweepInterval, Run: s.delivery.Sweep},
		{Name: "lease", Every: 5 * time.Second, Run: s.renew},
		{Name: "clock", Every: service.ClockLook, Run: s.clock.Look},
		{Name: "revocations", Every: 5 * time.Second, Run: s.auth.LoadRevoked},
		{Name: "prune-tokens", Every: 10 * time.Minute, Run: s.auth.PruneTokens},
		job.PruneMailboxes(s.store, s.clock.Now, s.log),
		{Name: "figures", Every: service.SeriesStep, Run: s.series.Sample},
		{Name: "prune-audit", Every: 10 * time.Minute, Run: s.audit.Prune(s.config.AuditRetention)},
		{Name: "remove-files", Every: 10 * time.Second, Run: s.files.RemoveDue},
	} {
		s.jobs.Add(j)
	}
	if s.presence != nil {
		s.jobs.Add(job.Job{Name: "presence", Every: service.PresenceRefresh, Run: s.presence.Refresh})
	}
	s.onClose("jobs", func(context.Context) error { s.jobs.Stop(); return nil })
	return nil
}

// renew keeps the node id and counts the other nodes.
func (s *server) renew(ctx context.Context) error {
	if err := s.ids.Renew(ctx); err != nil {
		return err
	}
	if s.relay == nil {
		return nil
	}
	return s.countPeers(ctx)
}

func (s *server) countPeers(ctx context.Context) error {
	n, err := s.store.LiveNodes(ctx)
	if err != nil {
		return err
	}
	s.relay.SetPeers(n - 1)
	return nil
}

// ready asks every dependency. Redis down is a state, not unreadiness: the product goes
// on without it.
func (s *server) ready(ctx context.Context) (list []api.Dependency, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	askRedis := func(ctx context.Context) error {
		ctx, enough := context.WithTimeout(ctx, time.Second) // a cluster with a frozen master is asked again and again
		defer enough()
		return service.AskRedis(ctx, s.redis)
	}
	list = dependencies(ctx, []probe{{"database", s.store.Ping}, {"redis", askRedis}})
	database := list[0].State == api.StateUp
	node := api.Dependency{Name: "node", State: api.StateUp}
	if s.drain.on.Load() {
		node.State = api.StateDraining
	}
	return append(list, node), database && !s.drain.on.Load()
}

// probe asks a dependency whether it is there.
type probe struct {
	name string
	ask  func(context.Context) error
}

// dependencies are what the probes find. They ask at the same time: one that hangs until ctx ends
// leaves the others theirs.
func dependencies(ctx context.Context, probes []probe) []api.Dependency {
	list := make([]api.Dependency, len(probes))
	var asking sync.WaitGroup
	for i, p := range probes {
		asking.Go(func() {
			list[i] = api.Dependency{Name: p.name, State: api.StateUp}
			if err := p.ask(ctx); err != nil {
				list[i].State, list[i].Detail = api.StateDown, "does not answer"
			}
		})
	}
	asking.Wait()
	return list
}

// run serves until ctx ends or a listener fails, then closes in order.
func (s *server) run(ctx context.Context) error {
	failed := make(chan error, 2)
	serving := make(chan struct{}, 2)
	serve := func(server *http.Server, listener net.Listener) {
		go func() { // ended by close, awaited below
			defer func() { serving <- struct{}{} }()
			serve := server.Serve
			if server.TLSConfig != nil {
				serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
			}
			if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve: %w", err)
			}
		}()
	}
	s.jobs.Start()
	serve(s.public, s.listener)
	servers := 1
	if s.admin != nil {
		serve(s.admin, s.adminL)
		servers++
	}
	s.greet()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.Info("stopping")
	s.leave()
	if s.config.DrainDelay > 0 { // the balancer sees /readyz and looks elsewhere
		<-time.After(s.config.DrainDelay)
	}
	err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
	for range servers {
		<-serving
	}
	return err
}

// close is the orderly end, the reverse of construction, within shutdownTime: not ready any
// more; answer what is in flight; jobs; sockets with bye and 1012; then the core and the store.
func (s *server) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTime)
	defer cancel()
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		c := s.closers[i]
		if err := c.fn(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// closeSockets says bye to every socket and cuts those that do not take it.
func (s *server) closeSockets(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, socketTime)
	defer cancel()
	s.delivery.Drain(s.returnSpread())
	return s.hub.Close(ctx)
}
