// cnijudge: a container runtime's use of libcni, one call for each run: what cnitool cannot pass (container ids,
// capability arguments, the attachments that are valid) and calls in parallel.
//
//	cnijudge -conf FILE -path DIRS -cache DIR add|check|del|gc|status|version [-id ID] [-netns PATH] [-ifname eth0]
//	         [-cap JSON] [-args K=V,K=V] [-valid ID/IFNAME,…] [-parallel N]
//
// Prints {"result": …} or {"error": {code, msg, details}}; with -parallel a list of them, for ID-0 PATH-0, ID-1 PATH-1, ….
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

var (
	conf     = flag.String("conf", "", "network configuration list")
	path     = flag.String("path", "", "folders of plugins, separated by colons")
	cache    = flag.String("cache", "", "folder of results")
	id       = flag.String("id", "", "container")
	netns    = flag.String("netns", "", "path of the namespace")
	ifname   = flag.String("ifname", "eth0", "interface")
	caps     = flag.String("cap", "{}", "capability arguments")
	args     = flag.String("args", "", "CNI_ARGS")
	valid    = flag.String("valid", "", "attachments that are valid")
	parallel = flag.Int("parallel", 0, "so many calls at once")
)

type answer struct {
	Result any          `json:"result,omitempty"`
	Error  *types.Error `json:"error,omitempty"`
}

func answerOf(result any, err error) answer {
	if err == nil {
		return answer{Result: result}
	}
	var told *types.Error
	if errors.As(err, &told) {
		return answer{Error: told}
	}
	return answer{Error: &types.Error{Msg: err.Error()}}
}

func runtimeConf(suffix string) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: *id + suffix, NetNS: *netns + suffix, IfName: *ifname}
	if err := json.Unmarshal([]byte(*caps), &rt.CapabilityArgs); err != nil {
		fatal(err)
	}
	for _, pair := range strings.Split(*args, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			rt.Args = append(rt.Args, [2]string{key, value})
		}
	}
	return rt
}

func call(cni libcni.CNI, list *libcni.NetworkConfigList, verb string, rt *libcni.RuntimeConf) answer {
	ctx := context.Background()
	switch verb {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, rt)
		return answerOf(result, err)
	case "check":
		return answerOf("", cni.CheckNetworkList(ctx, list, rt))
	case "del":
		return answerOf("", cni.DelNetworkList(ctx, list, rt))
	case "gc":
		gc := &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
		for _, one := range strings.Split(*valid, ",") {
			if container, name, ok := strings.Cut(one, "/"); ok {
				gc.ValidAttachments = append(gc.ValidAttachments, types.GCAttachment{ContainerID: container, IfName: name})
			}
		}
		return answerOf("", cni.GCNetworkList(ctx, list, gc))
	case "status":
		return answerOf("", cni.GetStatusNetworkList(ctx, list))
	case "validate":
		result, err := cni.ValidateNetworkList(ctx, list)
		return answerOf(result, err)
	case "cached":
		result, err := cni.GetNetworkListCachedResult(list, rt)
		return answerOf(result, err)
	}
	return answerOf(nil, fmt.Errorf("there is no verb %q", verb))
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "cnijudge:", err)
	os.Exit(2)
}

func main() {
	flag.Parse()
	list, err := libcni.ConfListFromFile(*conf)
	if err != nil {
		fatal(err)
	}
	cni := libcni.NewCNIConfigWithCacheDir(filepath.SplitList(*path), *cache, nil)
	verb := flag.Arg(0)
	var out any
	if *parallel == 0 {
		out = call(cni, list, verb, runtimeConf(""))
	} else {
		answers := make([]answer, *parallel)
		var all sync.WaitGroup
		for i := range answers {
			all.Add(1)
			go func() {
				defer all.Done()
				answers[i] = call(cni, list, verb, runtimeConf(fmt.Sprintf("-%d", i)))
			}()
		}
		all.Wait()
		out = answers
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fatal(err)
	}
}
