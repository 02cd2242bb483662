"""What several answers to one question come to."""
import statistics


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def summarize(answers):
    """min, median and max over the runs; per task where that means something."""
    tasks = answers[0]["tasks"]
    result = {"runs": len(answers), "tasks": tasks,
              "seconds": spread([a["seconds"] for a in answers]),
              "foreign_cores": spread([a["foreign_cores"] for a in answers]),
              "cpu_us_per_task": {role: spread([a["cpu"][role] / tasks * 1e6 for a in answers])
                                  for role in answers[0]["cpu"]}}
    result["cpu_us_per_task"]["all"] = spread([sum(a["cpu"].values()) / tasks * 1e6
                                               for a in answers])
    if samples := sorted(s for a in answers for s in a.get("samples", ())):
        result["median_us"] = statistics.median(samples) * 1e6
        result["p99_us"] = samples[int(len(samples) * 0.99)] * 1e6
    return result


def say(cluster, name, result):
    print(f"  {cluster:12} {name:15} median {result['seconds']['median']:9.4f} s  "
          f"cpu {result['cpu_us_per_task']['all']['median']:9.1f} us/task  "
          f"foreign {result['foreign_cores']['median']:.2f} cores", flush=True)
