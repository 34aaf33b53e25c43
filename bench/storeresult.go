package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
)

// storeResult is what was measured of a store.
type storeResult struct {
	Engine    string        `json:"engine"`
	CPU       string        `json:"cpu"`
	Cores     int           `json:"cores"`
	Clients   int           `json:"clients"`
	Rounds    int           `json:"rounds"`
	Document  int           `json:"document_bytes"`
	Documents int           `json:"documents_before"`
	Floor     storeFigure   `json:"floor"`
	Measured  []storeFigure `json:"measured"`
	Goal      float64       `json:"goal"`
	Met       bool          `json:"met"`
	// Bounded says that setups did not reach the goal and the CPU was busy.
	Bounded bool `json:"bounded_by_cpu"`
}

// storeFigure is what came out for one part: medians over the rounds.
type storeFigure struct {
	What string  `json:"what"`
	Rate float64 `json:"per_second"`
	// Ratio is that against the floor beside it; Low and High are its
	// quartiles.
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"ratio_low"`
	High  float64 `json:"ratio_high"`
	// Busy is how many cores of the machine were.
	Busy float64 `json:"cores_busy"`
	// CPU time of one, in microseconds: that of Caddy, of the engine's
	// processes, and of what sends the requests.
	Caddy  float64 `json:"caddy_cpu_microseconds"`
	Server float64 `json:"engine_cpu_microseconds"`
	Client float64 `json:"client_cpu_microseconds"`
}

func (m *measurement) result() storeResult {
	median := func(values []float64) float64 { return quantile(values, 0.5) }
	r := storeResult{
		Engine: m.name, CPU: processor(), Cores: runtime.NumCPU(), Clients: m.options.clients, Rounds: m.options.rounds,
		Document: len(m.engine.document()), Documents: m.options.documents, Goal: storeGoal,
		Floor: storeFigure{
			What: "floor: the engine's own tool", Rate: median(m.floors), Ratio: 1, Low: 1, High: 1,
			Busy: median(m.floorBusy), Client: median(m.floorClient),
		},
	}
	for _, p := range m.parts {
		if len(p.ratios) == 0 {
			continue // an error ended the run
		}
		r.Measured = append(r.Measured, storeFigure{
			What: p.what, Rate: median(p.rates), Busy: median(p.busy),
			Ratio: median(p.ratios), Low: quantile(p.ratios, 0.25), High: quantile(p.ratios, 0.75),
			Caddy: median(p.caddy), Server: median(p.server), Client: median(p.client),
		})
	}
	if len(r.Measured) > 1 {
		r.Met = r.Measured[1].Ratio >= storeGoal
		r.Bounded = !r.Met && r.Measured[1].Busy >= 0.95*float64(r.Cores)
	}
	return r
}

func (r storeResult) writeTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores; %s, %d clients, %d rounds, %d documents of %d bytes before\n\n",
		r.CPU, r.Cores, r.Engine, r.Clients, r.Rounds, r.Documents, r.Document)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tper second\tagainst the floor\tquartiles\tcores busy\tCPU each: Caddy\tengine\tclient")
	fmt.Fprintf(t, "%s\t%.0f\t1\t\t%.2f\t\t\t%.0f us\n", r.Floor.What, r.Floor.Rate, r.Floor.Busy, r.Floor.Client)
	for _, f := range r.Measured {
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f-%.2f\t%.2f\t%.0f us\t%.0f us\t%.0f us\n",
			f.What, f.Rate, f.Ratio, f.Low, f.High, f.Busy, f.Caddy, f.Server, f.Client)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\ngoal: setups at least %.2f of the floor, or bounded by CPU elsewhere: %s\n", r.Goal, r.verdict())
	return err
}

func (r storeResult) verdict() string {
	if r.Met || len(r.Measured) < 3 {
		return "met"
	}
	verdict := "MISSED"
	if r.Bounded {
		verdict = "bounded by CPU"
	}
	setup, embedded := r.Measured[1], r.Measured[2]
	all := setup.Caddy + setup.Server + setup.Client
	return fmt.Sprintf("%s\nA setup takes %.0f us of CPU in all, of which %.0f us are Caddy's also where the store is embedded; "+
		"%.2f of %d cores were busy,\nand no more than %.0f setups a second fit on them.",
		verdict, all, embedded.Caddy, setup.Busy, r.Cores, float64(r.Cores)*1e6/all)
}
