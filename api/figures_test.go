package api

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestRequestFigures: series are those of routes, whatever paths and methods a client makes up.
func TestRequestFigures(t *testing.T) {
	registry := prometheus.NewRegistry()
	a := &API{engine: gin.New(), figures: newRequestFigures(registry)}
	a.engine.Use(a.counted)
	a.engine.POST("/v1/things/:thing_id/parts", func(c *gin.Context) {
		status := http.StatusCreated
		if c.Param("thing_id") == "bad" {
			status = http.StatusTooManyRequests
		}
		c.Status(status)
	})
	a.figures.known(a.engine.Routes())
	ask := func(method, path string) {
		request, err := http.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		a.engine.ServeHTTP(&discarded{header: http.Header{}}, request)
	}
	for _, path := range []string{"/v1/things/1/parts", "/v1/things/2/parts", "/v1/things/bad/parts", "/v1/others/1"} {
		ask(http.MethodPost, path)
	}
	ask("INVENTED", "/v1/things/1/parts")

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			series := family.GetName()
			for _, label := range m.GetLabel() {
				series += " " + label.GetValue()
			}
			got[series] = m.GetHistogram().GetSampleCount() + uint64(m.GetCounter().GetValue())
		}
	}
	want := map[string]uint64{
		"ackbox_http_requests_total POST /v1/things/{thing_id}/parts 201": 2,
		"ackbox_http_requests_total POST /v1/things/{thing_id}/parts 429": 1,
		"ackbox_http_requests_total other other 404":                      2,
		"ackbox_http_request_seconds POST /v1/things/{thing_id}/parts":    3,
		"ackbox_http_request_seconds other other":                         2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("series, want and got:\n" + diff)
	}
}

// TestRequestFiguresAllocateNothing: a request of a known route and status costs no memory.
func TestRequestFiguresAllocateNothing(t *testing.T) {
	f := newRequestFigures(prometheus.NewRegistry())
	f.known(gin.RoutesInfo{{Method: http.MethodPost, Path: "/v1/messages"}})
	r := f.routes[routeKey{http.MethodPost, "/v1/messages"}]
	if n := testing.AllocsPerRun(100, func() { r.of(http.StatusCreated, f).requests.Inc() }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
