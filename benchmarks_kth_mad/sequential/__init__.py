"""Study B: where, over time, the evidence of a recurrent network lies, and whether it follows motion.

A study of KTH's walking against running explained a CNN-LSTM by gradients, by Temporal Saliency
Rescaling and by an LSTM with input-cell attention, and held them against optical flow by eye. This
is its experiment with the comparisons made by numbers, over persons whom no network has seen.
"""
