#include "app/commands/all.hpp"

#include <array>

namespace ascertain::app {

std::span<const Command> commands() {
    static constexpr std::array kCommands{
        Command{
            "qualify", "Predict, measure, judge: the whole job, with what this machine has",
            "Examples:\n"
            "  ascertain qualify                              the first-look campaign on this "
            "machine\n"
            "  ascertain qualify my.toml --device npu:0       a campaign of yours on one device\n"
            "  ascertain qualify my.toml --dry-run            what would run, in which order, how "
            "long\n"
            "  ascertain qualify my.toml --out DIR --resume   go on where a run was interrupted",
            &declare_qualify},
        Command{
            "ops", "Are the model's operators there, right and repeatable on a device?",
            "Examples:\n"
            "  ascertain ops --model config.json --device cuda:0\n"
            "  ascertain ops --cases recorded.json --device npu:0    a trainer's own operators\n"
            "  ascertain ops --case OUT/cases/ID.json --seed 7 --device npu:0    one failure "
            "again",
            &declare_ops},
        Command{
            "trial",
            "Does a small model of the same structure learn on a device as on the reference?",
            "Examples:\n"
            "  ascertain trial --model config.json --device npu:0\n"
            "  ascertain trial --device npu:0 --command 'torchrun --nproc-per-node 8 train.py' "
            "--metrics metrics.jsonl\n"
            "      --reference-command 'ssh gpubox ./train.sh' --replicas 4     your own trainer, "
            "killed, resumed, compared\n"
            "  ascertain trial --device cpu --save DIR         a checkpoint for handoff --from\n"
            "The command reads ASCERTAIN_DEVICE and ASCERTAIN_SEED, and writes below "
            "ASCERTAIN_OUT (docs/trainer.md).",
            &declare_trial},
        Command{"links",
                "Does data sent between devices arrive right, and which rank is to blame if not?",
                "Examples:\n"
                "  ascertain links --device npu:0 --device npu:1\n"
                "  ascertain links --device cpu --ranks 4          four processes on one device\n"
                "  ascertain links --device simulated:0 --ranks 8 --defects data/defects/race.toml",
                &declare_links},
        Command{"soak", "Do devices stay right and alive, and what do the quiet hours prove?",
                "Examples:\n"
                "  ascertain soak --for 10m                        every device of this machine\n"
                "  ascertain soak --for 24h --device npu:0 --out DIR\n"
                "  ascertain soak --for 24h --device npu:0 --out DIR --resume   after a reboot",
                &declare_soak},
        Command{
            "handoff",
            "Does a checkpoint trained elsewhere say the same when this device serves it?",
            "Examples:\n"
            "  ascertain handoff --from DIR --to npu:0            compare with the CPU, judge\n"
            "  ascertain handoff --from DIR --to http://host:8000/v1 --dtype bf16\n"
            "                                                     a server: vLLM, SGLang …; its\n"
            "                                                     key in ASCERTAIN_API_KEY\n"
            "  ascertain handoff --from DIR --to cpu --tokens T.json --dump L.json\n"
            "                                                     write log-probabilities\n"
            "DIR is what transformers' save_pretrained writes: config.json and safetensors.",
            &declare_handoff},
        Command{"devices", "What this machine has: type, name, memory, libraries",
                "Examples:\n  ascertain devices\n  ascertain devices --format json",
                &declare_devices},
        Command{"agent", "Keep the workers of one node for a campaign that runs elsewhere",
                "Examples:\n"
                "  ascertain qualify my.toml --nodes node1,node2 --key shared/agents.key   once\n"
                "  ascertain agent --join tcp://head:5757 --key shared/agents.key          on "
                "every node\n"
                "deploy/ starts both with Slurm, Open MPI, torchrun, Kubernetes and ssh.",
                &declare_agent},
        Command{"catalog", "Chips and networks that are known, with where each number comes from",
                "Examples:\n  ascertain catalog list\n  ascertain catalog show ascend-910b2\n"
                "  ascertain catalog validate",
                &declare_catalog},
        Command{"plan",
                "The best parallel plans for the fleet: time, memory, why the next one is worse",
                "Examples:\n  ascertain plan\n  ascertain plan my.toml --top 10 --format json\n"
                "  ascertain plan my.toml --serve                the serving side: layout, batch, "
                "tokens/s, latency\n"
                "[serving] of the campaign: chip, and as you like count, network, chips_per_node, "
                "precision, prompt_tokens, output_tokens,\n"
                "cached_ratio, time_per_output_token, time_to_first_token, output_tokens_per_s "
                "(then it says how many chips).",
                &declare_plan},
        Command{
            "simulate", "Step, memory, goodput, finish date and cost of the whole campaign",
            "Examples:\n  ascertain simulate\n  ascertain simulate my.toml --histories 4000 "
            "--format json\n"
            "  ascertain simulate my.toml --trace step.json   open it in ui.perfetto.dev\n"
            "[operations] of the campaign, as you like: checkpoint (blocking, asynchronous, "
            "in_memory), checkpoint_interval,\n"
            "persistent_interval, replicas_lost_at_most (goes on smaller without spares), "
            "maintenance_every, maintenance_takes,\n"
            "monitoring_ratio, step_time_spread (of one device; a step waits for the slowest of "
            "all).",
            &declare_simulate},
        Command{"compare",
                "The same campaign on several fleets and mixes: dates, money, what is known",
                "Examples:\n"
                "  ascertain compare                              the story's question\n"
                "  ascertain compare --report fleets.html         the same as a page with charts\n"
                "  ascertain compare my.toml --chips h20-96gb,ascend-910c\n"
                "  ascertain compare my.toml --chips h800-80gb-sxm:4096+ascend-910c:2048\n"
                "  ascertain compare my.toml --chips h800-80gb-sxm~h20-96gb --delivered 1,0.5",
                &declare_compare},
        Command{"score", "Predict published runs and say how wrong the predictor is",
                "Examples:\n"
                "  ascertain score                               the shipped runs, with the "
                "shipped constants\n"
                "  ascertain score runs.json --rows              every row of a file of yours\n"
                "  ascertain score --cross-validate              each row predicted without its "
                "series\n"
                "  ascertain score data/published/serving.json   figures of serving\n"
                "Fitted rows are marked: their errors say little. docs/validation.md shows the "
                "rest.",
                &declare_score},
        Command{
            "calibrate", "Turn evidence into a chip or network file marked measured",
            "Examples:\n"
            "  ascertain calibrate DIR --chip ascend-910b2 --out mine.toml\n"
            "  ascertain calibrate ops links soak trial --chip ascend-910b2 --out mine.toml\n"
            "  ascertain calibrate links --chip ascend-910b2 --network roce-200 --out net.toml\n"
            "  ascertain calibrate --from-runs runs.json --out constants.toml   three measured "
            "steps of a new die or framework\n"
            "  ascertain plan my.toml --constants constants.toml\n"
            "  ascertain compare my.toml --chips mine.toml@net.toml,ascend-910b2\n"
            "It takes matrix products and memory (ops), bus bandwidth and latency (links), "
            "checkpoint rates (trial.resume),\n"
            "failures in so many device-hours (soak).",
            &declare_calibrate},
        Command{"prove", "Arm every catalogued defect in a simulated chip: which check catches it",
                "Examples:\n  ascertain prove\n  ascertain prove --only @race --profile quick\n"
                "  ascertain prove --defects my.toml --format json\n"
                "  ascertain prove --healthy --seeds 50 --profile quick\n"
                "  ascertain prove --sample 12 --seed 7",
                &declare_prove},
        Command{"judge", "Judge a run's evidence again: the same evidence gives the same verdict",
                "Examples:\n  ascertain judge DIR\n  ascertain judge DIR --format json",
                &declare_judge},
        Command{"report",
                "Write report.html, report.xml (JUnit) and metrics.txt (OpenMetrics) of a run",
                "Examples:\n  ascertain report DIR", &declare_report},
        Command{"evidence", "Verify, show, export or compare the evidence of runs",
                "Examples:\n  ascertain evidence verify DIR\n  ascertain evidence show DIR --kind "
                "attempt\n"
                "  ascertain evidence diff DIR OTHER",
                &declare_evidence},
        Command{"explain", "What a check asks, what a status means, what a defect is",
                "Examples:\n  ascertain explain ops.numerics\n  ascertain explain MISTRUSTED",
                &declare_explain},
        Command{"list", "Every check with its question, family and profile",
                "Examples:\n  ascertain list\n  ascertain list --format csv", &declare_list},
        Command{"completion", "Shell completion: eval \"$(ascertain completion bash)\"",
                "Examples:\n  eval \"$(ascertain completion bash)\"", &declare_completion},
    };
    return kCommands;
}

}  // namespace ascertain::app
