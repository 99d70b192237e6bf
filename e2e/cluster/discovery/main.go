// Command discovery tells Prometheus which pods ask to be scraped. The system's packaged Prometheus is built
// without Kubernetes discovery, so this watches the pods and writes the targets to a file that it reads.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"sort"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// group is one entry of Prometheus' file format.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func main() {
	file := flag.String("file", "/targets/pods.json", "file that Prometheus reads")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *file); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file string) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default: // One is waiting already, and will see this change too.
		}
	}
	_, err = pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	notify()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		all, err := pods.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		if err := write(file, groups(all)); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond) // Many pods that change at once are one write.
	}
}

// groups has an entry for every pod that has an address and asks to be scraped.
func groups(pods []*corev1.Pod) []group {
	found := []group{}
	for _, pod := range pods {
		notes := pod.Annotations
		running := pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != ""
		if !running || notes["prometheus.io/scrape"] != "true" || notes["prometheus.io/port"] == "" {
			continue
		}
		tags := map[string]string{
			"namespace": pod.Namespace,
			"pod":       pod.Name,
			"app":       pod.Labels["app.kubernetes.io/name"],
		}
		if path := notes["prometheus.io/path"]; path != "" {
			tags["__metrics_path__"] = path
		}
		target := net.JoinHostPort(pod.Status.PodIP, notes["prometheus.io/port"])
		found = append(found, group{Targets: []string{target}, Labels: tags})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Targets[0] < found[j].Targets[0] })
	return found
}

// write replaces the file at once, so that no half of it is ever read.
func write(file string, found []group) error {
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
