// What `steward eval memory` measures: how well search finds, over a data set. Types only.
/** How well search finds the evidence of questions, over one unit of text. Shares from 0 to 1. */
export interface RetrievalScores {
  questions: number;
  /** Share of a question's evidence among the first k, averaged over questions. */
  recall: { 1: number; 5: number; 10: number; 20: number };
  /** Questions with any of their evidence among the first k. */
  hit: { 1: number; 5: number; 10: number; 20: number };
  /** Of the first piece of evidence. */
  mrr: number;
}

export interface TurnScores extends RetrievalScores {
  /** Share of the evidence that fits so many tokens, taken in order. */
  within: { 500: number; 1000: number; 2000: number };
}

export interface MemoryEvaluation {
  dataset: 'locomo' | 'longmemeval';
  conversations: number;
  turns: number;
  /** Questions without evidence in the conversation. */
  skipped: number;
  /** Without those that are reported apart. */
  overall: TurnScores;
  categories: Record<string, TurnScores>;
  /** Questions the conversation does not answer (adversarial, abstention): what they are about is still found, or not. */
  apart: Record<string, TurnScores>;
  /** A conversation's sessions, each by its best turn. */
  sessions: RetrievalScores;
  latencyMs: { p50: number; p95: number };
}

export type EvaluateMemory = (
  dataset: MemoryEvaluation['dataset'],
  text: string,
  options?: { progress?(done: number, of: number): void },
) => Promise<MemoryEvaluation>;
