"""bertlens: why do my BERT vectors disagree?"""
