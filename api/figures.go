package api

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// otherRoute is the label of what no route is: paths and methods are a client's to choose, and must not make series.
const otherRoute = "other"

// requestFigures count the requests of each route. Series are looked up without a lock and without
// making one: a request of a known route and status costs a map's look and two additions.
type requestFigures struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	routes   map[routeKey]*routeFigures // filled by known, then only read
	other    *routeFigures
}

type routeKey struct{ method, path string }

// routeFigures are one route's series, made when they are first needed.
type routeFigures struct {
	method, route string
	statuses      atomic.Pointer[[]statusFigures] // replaced when a new status is seen
}

type statusFigures struct {
	status   int
	requests prometheus.Counter
	took     prometheus.Observer // of all statuses
}

func newRequestFigures(registry prometheus.Registerer) *requestFigures {
	f := &requestFigures{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ackbox", Name: "http_requests_total", Help: "Requests answered, by route and status."}, []string{"method", "route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "ackbox", Name: "http_request_seconds", Help: "Time from a request's headers to the end of its answer, by route; of a socket, to its first frame.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15}}, []string{"method", "route"}),
		routes: map[routeKey]*routeFigures{},
	}
	registry.MustRegister(f.requests, f.took)
	f.other = &routeFigures{method: otherRoute, route: otherRoute}
	return f
}

// known takes the routes, once all have been added.
func (f *requestFigures) known(routes gin.RoutesInfo) {
	for _, r := range routes {
		parts := strings.Split(r.Path, "/")
		for i, part := range parts {
			if name, parameter := strings.CutPrefix(part, ":"); parameter {
				parts[i] = "{" + name + "}" // as the API's description writes it
			}
		}
		f.routes[routeKey{r.Method, r.Path}] = &routeFigures{method: r.Method, route: strings.Join(parts, "/")}
	}
}

// routeOf is a route as the API's description writes it.
func (f *requestFigures) routeOf(method, path string) string {
	if r := f.routes[routeKey{method, path}]; r != nil {
		return r.route
	}
	return path
}

// counted is the outermost middleware.
func (a *API) counted(c *gin.Context) {
	start := time.Now()
	c.Next()
	r := a.figures.routes[routeKey{c.Request.Method, c.FullPath()}]
	if r == nil {
		r = a.figures.other
	}
	figures := r.of(c.Writer.Status(), a.figures)
	figures.requests.Inc()
	if a.deps.Tracer == nil {
		figures.took.Observe(time.Since(start).Seconds())
		return
	}
	observeRequest(figures.took, time.Since(start).Seconds(), c)
}

func (r *routeFigures) of(status int, f *requestFigures) *statusFigures {
	if list := r.statuses.Load(); list != nil {
		for i := range *list {
			if (*list)[i].status == status {
				return &(*list)[i]
			}
		}
	}
	return r.add(status, f)
}

// add takes a status that has not been seen. Two may add it at the same time: their series are the same.
func (r *routeFigures) add(status int, f *requestFigures) *statusFigures {
	added := statusFigures{status, f.requests.WithLabelValues(r.method, r.route, strconv.Itoa(status)), f.took.WithLabelValues(r.method, r.route)}
	for {
		old, list := r.statuses.Load(), []statusFigures(nil)
		if old != nil {
			list = slices.Clone(*old)
		}
		list = append(list, added)
		if r.statuses.CompareAndSwap(old, &list) {
			return &list[len(list)-1]
		}
	}
}
