# SPDX-License-Identifier: MIT
# Lets what is learned of one image token hold for its family: the same piece, the same colour.
"""Rows of a table of image tokens begin with those of pieces in all colours (see codes.py). Beside
its own step each such row takes the step of its piece, summed over colours, and that of its colour,
summed over pieces; so a thing in a colour that it was never seen in is drawn like its family."""

import torch

from codes import FIRST_PLAIN, N_COLORED, N_COLORS


class Families:
    """Steps of the families in a table [codes, dim]; the table itself is stepped elsewhere."""

    def __init__(self, table, peak):
        self.table, self.peak = table, peak
        self.piece = torch.zeros(N_COLORED, 1, table.shape[1], requires_grad=True)
        self.color = torch.zeros(1, N_COLORS, table.shape[1], requires_grad=True)
        self.adam = torch.optim.Adam((self.piece, self.color), peak, (0.9, 0.97))

    def take(self):
        """Notes the gradients of a backward pass."""
        grid = self.table.grad[:FIRST_PLAIN].view(N_COLORED, N_COLORS, -1)
        self.piece.grad, self.color.grad = grid.sum(1, keepdim=True), grid.sum(0, keepdim=True)

    @torch.no_grad()
    def step(self, share):
        """One step at that share of the peak rate."""
        for group in self.adam.param_groups:
            group["lr"] = self.peak * share
        self.adam.step()
        grid = self.table[:FIRST_PLAIN].view(N_COLORED, N_COLORS, -1)
        grid += self.piece + self.color
        for part in (self.piece, self.color):
            part.zero_()
