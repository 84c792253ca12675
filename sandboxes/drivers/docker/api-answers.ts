// The parts of the daemon's answers that are read, and nothing beyond: Docker and Podman differ in the rest.
import { z } from 'zod';

export const versionAnswer = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  MinAPIVersion: z.string().optional(),
  Arch: z.string(),
  KernelVersion: z.string().optional(),
  Components: z.array(z.object({ Name: z.string() })).optional(),
});
export const infoAnswer = z.object({
  OperatingSystem: z.string().optional(),
  KernelVersion: z.string().optional(),
  CgroupVersion: z.string().optional(),
  DefaultRuntime: z.string().optional(),
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
  SecurityOptions: z.array(z.string()).nullish(),
  MemoryLimit: z.boolean().optional(),
  SwapLimit: z.boolean().optional(),
  PidsLimit: z.boolean().optional(),
  CpuCfsQuota: z.boolean().optional(),
  Rootless: z.boolean().optional(),
});
export const inspectAnswer = z.object({
  Id: z.string(),
  State: z.object({
    Running: z.boolean(),
    Paused: z.boolean(),
    OOMKilled: z.boolean().optional(),
    ExitCode: z.number(),
    Error: z.string().optional(),
  }),
  HostConfig: z.object({
    NetworkMode: z.string(),
    Memory: z.number(),
    MemorySwap: z.number(),
    NanoCpus: z.number().optional(),
    CpuQuota: z.number().optional(),
    CpuPeriod: z.number().optional(),
    PidsLimit: z.number().nullish(),
    ReadonlyRootfs: z.boolean(),
    Runtime: z.string().optional(),
  }),
});
export const listAnswer = z.array(
  z.object({ Id: z.string(), State: z.string(), Labels: z.record(z.string(), z.string()).nullish() }),
);
export const statsAnswer = z.object({
  pids_stats: z.object({ current: z.number().optional() }).nullish(),
  cpu_stats: z.object({ cpu_usage: z.object({ total_usage: z.number() }) }),
  memory_stats: z.object({ usage: z.number().optional(), stats: z.record(z.string(), z.number()).nullish() }).nullish(),
});
export const imageAnswer = z.object({
  Id: z.string(),
  Architecture: z.string().optional(),
  Config: z.object({ Env: z.array(z.string()).nullish() }).nullish(),
});

export const createdAnswer = z.object({ Id: z.string() });

export type EngineInfo = z.infer<typeof infoAnswer>;
export type ContainerState = z.infer<typeof inspectAnswer>;
export type ContainerRow = z.infer<typeof listAnswer>[number];
export type ContainerStats = z.infer<typeof statsAnswer>;

export type VersionAnswer = z.infer<typeof versionAnswer>;
