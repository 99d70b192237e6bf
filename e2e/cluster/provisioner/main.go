// Command provisioner serves the local cluster's storage class: a folder below -root for every claim,
// removed again when the claim's volume is released. All nodes share one machine, so any node can mount it.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

// provisionedBy marks the volumes that are ours to delete.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

type provisioner struct {
	client kubernetes.Interface
	name   string
	class  string
	root   string
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	root := flag.String("root", "", "folder that holds the volumes")
	class := flag.String("class", "local", "storage class that is served")
	name := flag.String("name", "switchboard.dev/local", "provisioner's name in the class and in the volumes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, provisioner{name: *name, class: *class, root: *root}); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, kubeconfig string, p provisioner) error {
	if p.root == "" {
		return errors.New("-root is missing: the folder that holds the volumes")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}

	factory := informers.NewSharedInformerFactory(p.client, time.Minute)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[any]())
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { enqueue(queue, o) },
		UpdateFunc: func(_, o any) { enqueue(queue, o) },
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go func() {
		<-ctx.Done()
		queue.ShutDown()
	}()

	for {
		item, shutdown := queue.Get()
		if shutdown {
			return nil
		}
		if err := p.handle(ctx, item, claims, volumes); err != nil {
			log.Printf("%v: %v; it is tried again", item, err)
			queue.AddRateLimited(item)
		} else {
			queue.Forget(item)
		}
		queue.Done(item)
	}
}

// What the queue holds: names, so that the newest object is read when its turn comes.
type (
	claimKey  struct{ namespace, name string }
	volumeKey struct{ name string }
)

func enqueue(queue workqueue.TypedRateLimitingInterface[any], object any) {
	switch o := object.(type) {
	case *corev1.PersistentVolumeClaim:
		queue.Add(claimKey{o.Namespace, o.Name})
	case *corev1.PersistentVolume:
		queue.Add(volumeKey{o.Name})
	}
}
