package verify

// What a node may keep beyond what it had: pools that have grown, caches that have filled.
const (
	spareGoroutines  = 50
	spareFiles       = 32
	spareConnections = 32
	spareHeap        = 64 << 20
)

// resources: a node that is as idle as it was has about the goroutines, files, connections and heap that it had.
func (c *check) resources() {
	for _, g := range c.run.Resources {
		for _, figure := range []struct {
			name              string
			begin, end, spare int64
		}{
			{"goroutines", g.Begin.Goroutines, g.End.Goroutines, spareGoroutines},
			{"open files", g.Begin.Files, g.End.Files, spareFiles},
			{"database connections", g.Begin.Connections, g.End.Connections, spareConnections},
			{"bytes of heap", g.Begin.Heap, g.End.Heap, spareHeap},
		} {
			if figure.begin >= 0 && figure.end > figure.begin+figure.begin/10+figure.spare {
				c.broken(RuleResources, nil, "%s had %d %s and has %d", g.Node, figure.begin, figure.name, figure.end)
			}
		}
	}
}
